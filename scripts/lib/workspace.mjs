// The repository and its packages, as the scripts see them.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const rootManifest = readJson(join(root, 'package.json'));

/** Every folder of packages/ with its manifest, sorted by name, of this repository or a copy. A private package is not released yet. */
export function readPackages(repository = root) {
  const folder = join(repository, 'packages');
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'package.json')))
    .toSorted()
    .map((name) => ({ name, folder: join(folder, name), manifest: readJson(join(folder, name, 'package.json')) }));
}

/** Entries of a package, `{ subpath, source, built }`, without `./package.json`. */
export function entriesOf({ manifest }) {
  return Object.entries(manifest.exports)
    .filter(([subpath]) => subpath !== './package.json')
    .map(([subpath, target]) => ({ subpath, source: target['@musubi/source'], built: target.default }));
}

/** `@musubi/samplers/graph` for the entry `./graph` of `@musubi/samplers`. */
export function specifierOf({ manifest }, subpath) {
  return manifest.name + subpath.slice(1);
}

export function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}
