// Keeps the files of the build. In front of this script the build writes `build`: its version and the lists of its files.

const cacheName = `musubi-${build.version}`;
const addressOf = (name) => new URL(name, self.registration.scope).href;
const kept = new Set([...build.always, ...build.withWebGpu].map(addressOf));

self.addEventListener('install', (event) => {
  event.waitUntil(keep(build.always));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(removeOlder().then(() => self.clients.claim()));
});

self.addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  const address = url.split(/[?#]/, 1)[0];
  if (method === 'GET' && kept.has(address)) event.respondWith(fromCache(address));
});

/** A page with WebGPU asks for the files that only such pages need, and is told when all are there. */
self.addEventListener('message', (event) => {
  const names = event.data === 'all' ? [...build.always, ...build.withWebGpu] : build.always;
  const tell = (answer) => event.ports[0]?.postMessage(answer);
  event.waitUntil(
    keep(names).then(
      () => tell('kept'),
      (error) => tell(String(error)),
    ),
  );
});

async function keep(names) {
  const cache = await caches.open(cacheName);
  for (const address of names.map(addressOf)) {
    if (!(await cache.match(address))) await cache.add(new Request(address, { cache: 'no-cache' }));
  }
}

/** Caches of other pages of the same host stay. */
async function removeOlder() {
  const names = await caches.keys();
  await Promise.all(
    names.filter((name) => /^musubi-[0-9a-f]+$/.test(name) && name !== cacheName).map((name) => caches.delete(name)),
  );
}

async function fromCache(address) {
  const cache = await caches.open(cacheName);
  const found = await cache.match(address);
  if (found) return found;
  const response = await fetch(address);
  if (response.ok) await cache.put(address, response.clone());
  return response;
}
