// Running programs as on a machine that has nothing: no Node.js, no network, no variables.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What unpack.sh and the scripts of the bundle use; every Linux has them. */
const tools = 'sh cat sha256sum tar gzip cut dirname uname mkdir mv rm df tail readlink'.split(' ');

/**
 * Linux only. `run(program, args, { cwd })` gives `{ ok, output }`; without a network where the system allows that.
 *
 * @param folder a new one, for links to the tools
 */
export function bareEnvironment(folder) {
  mkdirSync(folder);
  for (const tool of tools) symlinkSync(programOnPath(tool), join(folder, tool));
  const unshare = programOnPath('unshare');
  const isAllowed = unshare !== undefined && spawnSync(unshare, ['-rn', 'true']).status === 0;
  return {
    isWithoutNetwork: isAllowed,
    run(program, args, { cwd, env = {} }) {
      const [first, ...rest] = isAllowed ? [unshare, '-rn', program, ...args] : [program, ...args];
      const { status, stdout, stderr } = spawnSync(first, rest, {
        cwd,
        env: { ...env, PATH: folder },
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
      return { ok: status === 0, output: `${stdout ?? ''}${stderr ?? ''}` };
    },
  };
}

function programOnPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
