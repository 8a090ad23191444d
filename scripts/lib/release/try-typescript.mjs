// Two TypeScript projects of strangers that import every entry of every package, declarations checked too.
import { join } from 'node:path';
import { entriesOf, readJson, root, specifierOf } from '../workspace.mjs';
import { createProject } from './stranger.mjs';

const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true, target: 'ES2022' };

/**
 * A project for a bundler, which knows browsers and not Node.js, and one for Node.js itself. Both have the same packages
 * installed. An entry that needs an optional peer is left out where that peer is not among the packages.
 */
export function tryTypeScript(packages, { folder, registry, holds }) {
  const project = createProject(join(folder, 'typescript'), registry);
  const tools = ['typescript', '@types/node'].map((name) => `${name}@${installedVersion(name)}`);
  project.install(...packages.map(({ manifest }) => manifest.name), ...tools);

  const released = new Set(packages.map(({ manifest }) => manifest.name));
  const entries = packages.flatMap((pack) =>
    entriesOf(pack)
      .filter(({ subpath }) => subpath !== './graph' || released.has('@musubi/onnx-graph'))
      .map(({ subpath }) => ({ name: pack.name, subpath, specifier: specifierOf(pack, subpath) })),
  );
  const ofBrowsers = entries.filter(({ name, subpath }) => name !== 'cli' && subpath !== './node');
  const check = (title, imported, compilerOptions) => {
    project.write(`${title}.ts`, importAll(imported));
    project.write(
      `tsconfig.${title}.json`,
      JSON.stringify({ compilerOptions: { ...strict, ...compilerOptions }, files: [`${title}.ts`] }),
    );
    const { ok, stdout } = project.node(
      join('node_modules', 'typescript', 'bin', 'tsc'),
      '-p',
      `tsconfig.${title}.json`,
    );
    holds(`moduleResolution ${title}: ${imported.length} entries do not type-check\n${stdout}`, ok);
  };
  const [lib, dom] = [['ES2022'], ['ES2022', 'DOM', 'DOM.Iterable']];
  check('bundler', ofBrowsers, { module: 'ESNext', moduleResolution: 'bundler', lib: dom, types: [] });
  check('node16', entries, { module: 'Node16', moduleResolution: 'node16', lib, types: ['node'] });
}

function installedVersion(name) {
  return readJson(join(root, 'node_modules', name, 'package.json')).version;
}

function importAll(entries) {
  const lines = entries.map(({ specifier }, index) => `import * as entry${index} from '${specifier}';`);
  return `${lines.join('\n')}\nexport const all = [${entries.map((_, index) => `entry${index}`).join(', ')}];\n`;
}
