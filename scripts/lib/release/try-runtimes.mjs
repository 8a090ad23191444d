// One-liners in Deno and Bun, which fetch the package they import by themselves.
import { existsSync, mkdirSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createProject } from './stranger.mjs';

const runtimes = [
  {
    npmName: 'deno@2.9.6',
    program: (modules) => join(modules, 'deno', process.platform === 'win32' ? 'deno.exe' : 'deno'),
    args: (code) => [
      'eval',
      '--node-modules-dir=none',
      '--minimum-dependency-age=0',
      code.replace(`'@musubi/`, `'npm:@musubi/`),
    ],
  },
  {
    npmName: 'bun@1.4.5',
    program: (modules) => join(modules, 'bun', 'bin', 'bun.exe'),
    args: (code) => ['-e', code],
  },
];

/** A one-liner and what it prints. */
const code = `import { probit } from '@musubi/samplers'; console.log(probit(0.975).toFixed(4));`;
const printed = '1.9600';

export function tryRuntimes({ folder, registry, holds }) {
  for (const { npmName, program, args } of runtimes) {
    const [name] = npmName.split('@');
    const tools = createProject(join(folder, `tools-${name}`), registry);
    try {
      tools.install(npmName);
    } catch {
      console.log(`  skipped ${name}: npm cannot install ${npmName} here`);
      continue;
    }
    const executable = program(join(tools.folder, 'node_modules'));
    if (!existsSync(executable) || spawnSync(executable, ['--version']).status !== 0) {
      console.log(`  skipped ${name}: ${npmName} has no program for this system`);
      continue;
    }
    // without package.json, so that both look for the package in the registry
    const { folder: cwd, env } = createProject(join(folder, `try-${name}`), registry, { hasManifest: false });
    const caches = { DENO_DIR: join(folder, 'deno-cache'), BUN_INSTALL_CACHE_DIR: join(folder, 'bun-cache') };
    for (const path of Object.values(caches)) mkdirSync(path, { recursive: true });
    const { stdout, stderr } = spawnSync(executable, args(code), {
      cwd,
      // Deno reads .npmrc only beside a manifest, and this variable everywhere
      env: { ...env, ...caches, NPM_CONFIG_REGISTRY: registry.url, DENO_NO_UPDATE_CHECK: '1', DO_NOT_TRACK: '1' },
      encoding: 'utf8',
    });
    const shown = stdout?.trim();
    holds(`the one-liner in ${npmName} prints ${shown}, expected ${printed}\n${stderr}`, shown === printed);
  }
}
