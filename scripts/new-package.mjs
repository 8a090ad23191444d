// Writes the skeleton of a package: `node scripts/new-package.mjs NAME "one sentence"`.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [name, description] = process.argv.slice(2);
if (!name || !description || !/^[a-z][a-z0-9-]*$/.test(name)) {
  console.error('usage: node scripts/new-package.mjs NAME "what it is, in one sentence"');
  process.exit(2);
}
const folder = join(root, 'packages', name);
if (existsSync(folder)) {
  console.error(`packages/${name} exists already.`);
  process.exit(2);
}
const built = { types: './dist/index.d.ts', default: './dist/index.js' };
const manifest = {
  name: `@musubi/${name}`,
  version: '0.0.0',
  private: true, // until it exports something
  description,
  license: 'Apache-2.0',
  repository: { type: 'git', url: 'git+https://github.com/musubi-ts/musubi-ts.git', directory: `packages/${name}` },
  type: 'module',
  sideEffects: false,
  engines: { node: '>=20.19' },
  files: ['dist', 'src', '!src/**/*.test.ts'],
  exports: { '.': { '@musubi/source': './src/index.ts', ...built }, './package.json': './package.json' },
  publishConfig: { access: 'public', provenance: true, exports: { '.': built, './package.json': './package.json' } },
  scripts: { build: 'tsup' },
};
mkdirSync(join(folder, 'src'), { recursive: true });
const write = (file, text) => writeFileSync(join(folder, file), text);
write('package.json', `${JSON.stringify(manifest, null, 2)}\n`);
write(
  'tsconfig.json',
  `{ "extends": "../../tsconfig.base.json", "include": ["src"], "exclude": ["src/**/*.test.ts"] }\n`,
);
write('tsup.config.ts', `import { library } from '../../tsup.base.ts';\nexport default library();\n`);
write(
  'README.md',
  `# @musubi/${name}\n\n${description}\n\nThis package is not released yet: it holds no code so far.\n`,
);
write('src/index.ts', 'export {};\n');
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
console.log(`packages/${name} written. Next: "Add a package" in CONTRIBUTING.md.`);
