// Checks the workflows of continuous integration: each command that they name exists, actions are pinned, no registry is named, and
// CONTRIBUTING.md has a row for each job that says where it runs and what.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { createChecklist, runAsScript } from './lib/run.mjs';
import { root, rootManifest } from './lib/workspace.mjs';

const folder = join(root, '.github', 'workflows');

/** Commands of pnpm itself that workflows use. */
const pnpmCommands = ['install'];

export function checkWorkflows() {
  const { holds, counts } = createChecklist();
  const contributing = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').split(/\r?\n/).map(collapse);
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), 'utf8');
    const workflow = parse(text);
    const say = (problem, ok) => holds(`.github/workflows/${file}: ${problem}`, ok);
    say('names a registry or another host', !/\bregistry\b|:\/\//.test(text));
    for (const [name, job] of Object.entries(workflow.jobs)) {
      for (const action of usedActions(job)) say(`${action} is not pinned, or is not there`, isPinned(action));
      for (const command of commandsOf(job)) {
        const problem = commandProblem(command);
        say(`job ${name}: ${problem}`, problem === undefined);
      }
      const row = documentedRow(`${file.replace('.yml', '')}: ${name}`, job);
      say(`CONTRIBUTING.md lacks the row\n    ${row}`, contributing.includes(row));
    }
  }
  return counts;
}

function usedActions({ uses, steps = [] }) {
  return [uses, ...steps.map((step) => step.uses)].filter(Boolean);
}

/** A version or a commit of somebody's action, or a workflow of ours. */
function isPinned(action) {
  if (action.startsWith('./')) return existsSync(join(root, action));
  return /^[\w-]+\/[\w-]+@(v\d+(\.\d+)*|[0-9a-f]{40})$/.test(action);
}

/** What steps run, also through the action of changesets. */
function commandsOf({ steps = [] }) {
  return steps.flatMap(({ run, with: inputs }) => [run, inputs?.version, inputs?.publish]).filter(Boolean);
}

/** What is wrong with a command, or undefined. Commands have no shell syntax: the same line runs on Windows. */
function commandProblem(command) {
  if (/[|&;<>$`\n]/.test(command)) return `"${command}" needs a shell`;
  const [program, ...words] = command.split(' ');
  const [name, ...rest] = words.filter((word) => !word.startsWith('--'));
  if (program === 'npm' && name === 'install') {
    const same = rest.length === 1 && rest[0] === rootManifest.packageManager;
    return same ? undefined : `"${command}" installs ${rest}, but package.json says ${rootManifest.packageManager}`;
  }
  const isScript = name in rootManifest.scripts;
  if (program === 'npm' && (name === 'test' || words[0] === 'run') && isScript) return undefined;
  if (program === 'pnpm' && (isScript || pnpmCommands.includes(name))) return undefined;
  return `"${command}" is no script of package.json`;
}

/** The row of the table for a job: where it runs, what it runs. */
function documentedRow(title, job) {
  const { os = [job['runs-on']], node = nodeVersions(job) } = job.strategy?.matrix ?? {};
  const where = job.uses ? 'as above' : `${os.join(', ')}; Node.js ${node.join(', ')}`;
  const what = job.uses ? `\`${job.uses.split('/').at(-1)}\`` : commandsOf(job).map((command) => `\`${command}\``);
  return collapse(`| ${title} | ${where} | ${[what].flat().join(', ')} |`);
}

function nodeVersions({ steps = [] }) {
  return steps.flatMap((step) => step.with?.['node-version'] ?? []);
}

function collapse(text) {
  return text.trim().replace(/\s+/g, ' ');
}

await runAsScript(import.meta.url, 'workflows', checkWorkflows);
