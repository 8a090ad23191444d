import { readFileSync, readdirSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join, relative, sep } from 'node:path';

import type { Plugin } from 'vite';

/** Only needed where there is WebGPU, and large. */
const forWebGpu = /webgpu|asyncify/;

/**
 * Adds a service worker to the built page that keeps all files of the build, so that the page works without a network. It is
 * `src/service-worker.js` with the list of these files in front.
 */
export function offline(): Plugin {
  let publicFolder = '';
  let source = '';
  return {
    name: 'offline',
    apply: 'build',
    configResolved(config) {
      publicFolder = config.publicDir;
      source = join(config.root, 'src', 'service-worker.js');
    },
    generateBundle(_, bundle) {
      const built = Object.keys(bundle).filter((name) => !name.endsWith('.map'));
      const files = [...new Set(['./', ...built, ...filesBelow(publicFolder)])];
      const always = files.filter((name) => !forWebGpu.test(name));
      const script = readFileSync(source, 'utf8');
      const given = filesBelow(publicFolder).map((name) => readFileSync(join(publicFolder, name)));
      const pages = Object.values(bundle).filter(({ fileName }) => fileName.endsWith('.html'));
      const texts = pages.map((page) => (page.type === 'asset' ? page.source : page.code));
      // names of all others have a digest of their content in them
      const version = digest([script, ...built, ...texts, ...given]);
      const lists = { version, always, withWebGpu: files.filter((name) => forWebGpu.test(name)) };
      this.emitFile({
        type: 'asset',
        fileName: 'service-worker.js',
        source: `const build = ${JSON.stringify(lists, null, 2)};\n\n${script}`,
      });
    },
  };
}

/** Files of a folder that is copied as it is, by their path in it. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .toSorted();
}

function digest(contents: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const content of contents) hash.update(content);
  return hash.digest('hex').slice(0, 16);
}
