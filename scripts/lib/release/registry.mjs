// A package registry on this machine alone, for rehearsals: verdaccio in a process of its own, with temporary storage.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runNpm } from '../package-managers.mjs';
import { readJson, root } from '../workspace.mjs';

/** Later ones need Node 22. */
const version = '6.0.5';
const program = join(root, 'node_modules', '.cache', `verdaccio-${version}`);

/**
 * Starts a registry that has our packages and no others.
 *
 * @param {string} folder for its storage
 * @returns {Promise<{ url: string, userConfig: string, stop: () => Promise<void> }>} `userConfig` is the .npmrc of one who may publish
 */
export async function startRegistry(folder) {
  installVerdaccio();
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify(settings(folder), null, 2));
  const userConfig = join(folder, 'npmrc');
  writeFileSync(userConfig, `registry=${url}\n//127.0.0.1:${port}/:_authToken=rehearsal\nupdate-notifier=false\n`);

  const script = join(program, 'node_modules', 'verdaccio', 'bin', 'verdaccio');
  const child = spawn(process.execPath, [script, '--config', config, '--listen', `127.0.0.1:${port}`], {
    stdio: 'ignore',
    windowsHide: true,
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const kill = () => child.kill();
  // also where a run ends without a word
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    child.kill();
    await ended;
  };
  for (let attempt = 0; attempt < 240; attempt++) {
    if (child.exitCode !== null) throw new Error(`the registry ended with ${child.exitCode}`);
    const answer = await fetch(`${url}-/ping`).catch(() => null);
    if (answer?.ok) return { url, userConfig, stop };
    await sleep(250);
  }
  await stop();
  throw new Error('the registry does not answer');
}

function installVerdaccio() {
  const manifest = join(program, 'node_modules', 'verdaccio', 'package.json');
  if (existsSync(manifest) && readJson(manifest).version === version) return;
  console.log(`getting verdaccio ${version} through npm, for this folder only`);
  mkdirSync(program, { recursive: true });
  // it asks for node-fetch by a tag, which not every registry has
  const wanted = { private: true, dependencies: { verdaccio: version }, overrides: { 'node-fetch': '2.7.0' } };
  writeFileSync(join(program, 'package.json'), JSON.stringify(wanted));
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if (!runNpm(args, { cwd: program }).ok) throw new Error('npm could not install verdaccio; its message stands above.');
}

function settings(folder) {
  const everybody = '$all';
  return {
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd'), max_users: -1 } },
    uplinks: {},
    packages: { '@musubi/*': { access: everybody, publish: everybody, unpublish: everybody } },
    max_body_size: '100mb',
    log: { type: 'stdout', format: 'pretty', level: 'fatal' },
  };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
