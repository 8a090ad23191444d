// A release as a maintainer makes it, in a copy of the repository and with a registry on this machine.
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runPnpm } from '../package-managers.mjs';
import { runNode } from '../run.mjs';
import { readPackages, root } from '../workspace.mjs';

/**
 * Copies what a release needs, as it lies on disk: neither commits nor branches matter. What was installed is linked, so that
 * nothing is installed again; packages find each other in the copy.
 */
export function copyRepository(copy) {
  mkdirSync(copy, { recursive: true });
  const ignored = /[\\/](node_modules|\.turbo|tests)$/;
  for (const name of ['.changeset', 'packages', 'package.json', 'pnpm-workspace.yaml', 'pnpm-lock.yaml']) {
    cpSync(join(root, name), join(copy, name), { recursive: true, filter: (path) => !ignored.test(path) });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction');
  for (const { folder, manifest } of readPackages(copy)) linkPackages(copy, folder, manifest);
  return copy;
}

/** pnpm reads the versions behind `workspace:` from node_modules. */
function linkPackages(copy, folder, { dependencies, devDependencies, peerDependencies }) {
  const scope = join(folder, 'node_modules', '@musubi');
  mkdirSync(scope, { recursive: true });
  for (const name of Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies })) {
    const [, ownName] = /^@musubi\/(.+)$/.exec(name) ?? [];
    if (ownName && !existsSync(join(scope, ownName)))
      symlinkSync(join(copy, 'packages', ownName), join(scope, ownName), 'junction');
  }
}

/** `changeset version`: versions, changelogs, dependants. */
export function makeVersions(copy) {
  const script = join(root, 'node_modules', '@changesets', 'cli', 'bin.js');
  const { ok, stdout, stderr } = runNode(script, ['version'], { cwd: copy, capture: true });
  if (!ok) throw new Error(`changeset version failed\n${stdout}${stderr}`);
}

/**
 * `pnpm publish -r`, as `pnpm release` does it: of the packages in `names` those that the registry does not have in this version.
 * Provenance is signed in continuous integration only, so the copy's manifests do not ask for it.
 */
export function publish(copy, names, { url, userConfig }) {
  for (const { folder, manifest } of readPackages(copy)) {
    const publishConfig = { ...manifest.publishConfig, provenance: false };
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ ...manifest, publishConfig }, null, 2)}\n`);
  }
  const filters = names.map((name) => `--filter=@musubi/${name}`);
  const args = [...filters, 'publish', '-r', '--no-git-checks', `--registry=${url}`];
  const env = { ...process.env, npm_config_userconfig: userConfig, npm_config_cache: join(copy, 'npm-cache') };
  const { ok, stdout, stderr } = runPnpm(args, { cwd: copy, env, capture: true });
  if (!ok) throw new Error(`pnpm publish failed\n${stdout}${stderr}`);
  for (const [, published] of stdout.matchAll(/^\+ (@musubi\/\S+)$/gm)) console.log(`  published ${published}`);
}
