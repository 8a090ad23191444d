// A stranger's project: an empty folder outside the repository that gets our packages from the rehearsal's registry alone.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runNpm } from '../package-managers.mjs';
import { runNode } from '../run.mjs';

/**
 * An empty folder whose .npmrc names the registry for our packages. Everything else comes from where npm is set up to get it.
 *
 * @returns an object with the folder, its environment, and what can be run in it
 */
export function createProject(folder, { url, cache }, { hasManifest = true } = {}) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, '.npmrc'), `@musubi:registry=${url}\n`);
  if (hasManifest) writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const env = strangerEnvironment(cache);
  const options = { cwd: folder, env, capture: true };
  return {
    folder,
    env,
    write: (name, text) => writeFileSync(join(folder, name), text),
    install(...names) {
      const args = ['install', ...names, '--no-audit', '--no-fund', '--loglevel=error'];
      const { ok, stdout, stderr } = runNpm(args, options);
      if (!ok) throw new Error(`npm cannot install ${names.join(', ')}\n${stdout}${stderr}`);
    },
    npx: (...args) => runNpm(['exec', '--yes', '--', ...args], options),
    node: (...args) => runNode(args[0], args.slice(1), options),
  };
}

/**
 * The environment without what `npm run` adds for our own scripts, and with a cache that goes with the rehearsal: it holds
 * nothing else than what that installs.
 */
function strangerEnvironment(cache) {
  const ours =
    /^(npm_(package|lifecycle)_.*|npm_config_(local_prefix|@musubi:registry)|npm_command|node_path|init_cwd)$/i;
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name));
  return {
    ...Object.fromEntries(kept),
    npm_config_cache: cache,
    npm_config_update_notifier: 'false',
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    NO_COLOR: '1',
  };
}
