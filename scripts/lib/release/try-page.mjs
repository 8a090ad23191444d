// A plain page, `<script type="module">` and an import map, that loads packages as npm has installed them: no bundler.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize, sep } from 'node:path';
import { launchBrowser } from '../browser.mjs';
import { entriesOf, specifierOf } from '../workspace.mjs';
import { createProject } from './stranger.mjs';

/** @param packages those that install nothing but each other; entries that need more are left out */
export async function tryPage(packages, { folder, registry, holds }) {
  const { browser, reason } = await launchBrowser();
  if (!browser) return console.log(`  skipped the page: ${reason}`);
  const project = createProject(join(folder, 'page'), registry);
  project.install(...packages.map(({ manifest }) => manifest.name));
  const addresses = addressesOf(packages);
  project.write('index.html', html(addresses));
  const { url, close } = await serve(project.folder);
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction('globalThis.loaded !== undefined', { timeout: 60_000 });
    const loaded = await page.evaluate('globalThis.loaded');
    for (const [specifier, address] of Object.entries(addresses)) {
      const inNode = project.node(
        '--input-type=module',
        '--eval',
        `console.log(Object.keys(await import('${specifier}')).sort().join())`,
      );
      const found = loaded[specifier];
      holds(`a page that loads ${address} finds ${found}, Node.js ${inNode.stdout}`, found === inNode.stdout.trim());
    }
  } finally {
    await close();
    await browser.close();
  }
}

/** The import map of the packages. */
function addressesOf(packages) {
  const entries = packages.flatMap((pack) =>
    entriesOf(pack)
      .filter(({ subpath }) => !['./node', './graph'].includes(subpath))
      .map(({ subpath, built }) => [
        specifierOf(pack, subpath),
        `/node_modules/${pack.manifest.name}/${built.slice('./'.length)}`,
      ]),
  );
  return Object.fromEntries(entries);
}

function html(imports) {
  return `<!doctype html>
<script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">
  const loaded = {};
  for (const specifier of ${JSON.stringify(Object.keys(imports))}) {
    loaded[specifier] = await import(specifier).then((names) => Object.keys(names).sort().join(), String);
  }
  globalThis.loaded = loaded;
</script>
`;
}

/** The files of a folder, on this machine only. */
async function serve(folder) {
  const types = { html: 'text/html', js: 'text/javascript' };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    const path = normalize(join(folder, pathname === '/' ? 'index.html' : pathname));
    if (!path.startsWith(folder + sep) || !existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': types[path.split('.').at(-1)] ?? 'application/octet-stream' });
    return createReadStream(path).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, close };
}
