// A patch of one package and a minor version of another: who moves, what they say, and what a stranger gets then.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJson, readPackages } from '../workspace.mjs';
import { makeVersions, publish } from './make-release.mjs';
import { createProject } from './stranger.mjs';

const note = 'Written by the rehearsal.';

/** Packages of `.changeset/config.json` that have one version. */
function movesTogether(copy) {
  const { fixed } = readJson(join(copy, '.changeset', 'config.json'));
  return fixed.flat().map((name) => name.split('/')[1]);
}

/** A patch of samplers and a minor version of schedulers: they move, and what depends on them; other pure packages stay. */
export function tryNextRelease(copy, names, { folder, registry, holds }) {
  const versions = () => new Map(readPackages(copy).map(({ name, manifest }) => [name, manifest.version]));
  const before = versions();
  const bumps = { samplers: 'patch', schedulers: 'minor' };
  for (const [name, bump] of Object.entries(bumps)) {
    const text = `---\n'@musubi/${name}': ${bump}\n---\n\n${note}\n`;
    writeFileSync(join(copy, '.changeset', `rehearsal-${name}.md`), text);
  }
  makeVersions(copy);

  const after = versions();
  const moved = [...after].filter(([name, version]) => before.get(name) !== version).map(([name]) => name);
  for (const [name, bump] of Object.entries(bumps)) {
    const problem = `${name} went from ${before.get(name)} to ${after.get(name)} by a ${bump}`;
    holds(problem, after.get(name) === bumped(before.get(name), bump));
    const changelog = readFileSync(join(copy, 'packages', name, 'CHANGELOG.md'), 'utf8');
    const newest = changelog.split(/^## /m)[1] ?? '';
    holds(
      `the changelog of ${name} says of its newest version\n${newest}`,
      newest.startsWith(after.get(name)) && newest.includes(note),
    );
  }
  const together = movesTogether(copy);
  holds(
    `${together} have versions ${together.map((name) => after.get(name))}`,
    new Set(together.map((name) => after.get(name))).size === 1,
  );
  const allowed = new Set([...Object.keys(bumps), ...together]);
  holds(
    `${moved} moved, expected some of ${[...allowed]}`,
    moved.every((name) => allowed.has(name)) && moved.includes('trainer'),
  );
  publish(copy, names, registry);

  const project = createProject(join(folder, 'after'), registry);
  project.install(...Object.keys(bumps).map((name) => `@musubi/${name}`));
  for (const name of Object.keys(bumps)) {
    const { version } = readJson(join(project.folder, 'node_modules', '@musubi', name, 'package.json'));
    holds(`npm install gets ${name} ${version}, expected ${after.get(name)}`, version === after.get(name));
  }
}

function bumped(version, bump) {
  const [major, minor, patch] = version.split('.').map(Number);
  return bump === 'minor' ? `${major}.${minor + 1}.0` : `${major}.${minor}.${patch + 1}`;
}
