import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

import { completionScript, shells } from './completion.ts';

test.each(shells)('%s completes commands, options and choices', (shell) => {
  const script = completionScript(shell);
  for (const word of ['cache_latents', 'wan_train_network', 'completion', 'learning_rate', 'qinglong_flux']) {
    if (shell !== 'powershell' || word !== 'qinglong_flux') expect(script).toContain(word);
  }
  expect(script).not.toContain('fpack_generate_video');
});

test('another shell is refused', () => {
  expect(() => completionScript('tcsh')).toThrow('There is no completion for "tcsh". Write musubi completion bash');
});

const hasBash = process.platform !== 'win32' && spawnSync('bash', ['--version']).status === 0;

// The script is run by the shell that it is for.
test.runIf(hasBash).each([
  [['musubi', 'cache_l'], 'cache_latents'],
  [['musubi', 'train', '--learning_r'], '--learning_rate'],
  [['musubi', 'train', '--weighting_scheme', 'cos'], 'cosmap'],
  [['musubi', 'completion', 'po'], 'powershell'],
])('bash completes %j', (line, completed) => {
  const words = line.map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(${words}); COMP_CWORD=${line.length - 1}; _musubi; echo "\${COMPREPLY[*]}"`;
  const { stdout } = spawnSync('bash', ['-c', `${completionScript('bash')}\n${ask}`], { encoding: 'utf8' });
  expect(stdout.trim()).toBe(completed);
});
