// Packages as npm gets them, and a project that installs them.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runNpm, runPnpm } from './package-managers.mjs';

/** Packs into `folder`; returns the path of each package's tarball by name. Needs a build. */
export function packPackages(packages, folder) {
  mkdirSync(folder);
  const filters = packages.map(({ manifest }) => `--filter=${manifest.name}`);
  const { ok, stdout, stderr } = runPnpm([...filters, '-r', 'pack', '--pack-destination', folder], { capture: true });
  if (!ok) throw new Error(`pnpm pack failed\n${stdout}${stderr}`);
  const tarballs = packages.map(({ manifest }) => {
    const file = join(folder, `${manifest.name.slice(1).replace('/', '-')}-${manifest.version}.tgz`);
    if (!existsSync(file)) throw new Error(`pnpm pack made no ${file}, but\n  ${readdirSync(folder).join('\n  ')}`);
    return [manifest.name, file];
  });
  return Object.fromEntries(tarballs);
}

/** A new project that asks for all tarballs; overrides keep npm from looking for any of them elsewhere. */
export function installTarballs(project, tarballs) {
  mkdirSync(project);
  const files = Object.fromEntries(
    Object.entries(tarballs).map(([name, file]) => [name, `file:${file.replaceAll('\\', '/')}`]),
  );
  const manifest = { private: true, type: 'module', dependencies: files, overrides: files };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest, null, 2));
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const { ok } = runNpm(['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: project, env });
  if (!ok) throw new Error('npm cannot install the tarballs');
}
