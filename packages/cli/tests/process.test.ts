import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';

import { runProgram } from './run-program.ts';

const options = {
  dataset_config: 'd.toml',
  dit: 'dit.safetensors',
  network_module: 'networks.lora_wan',
  optimizer_type: 'AdamW',
  output_dir: tmpdir(),
  output_name: 'musubi-process-test',
};
const argv = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);

// Windows has no SIGINT between processes: kill ends the child there.
describe.runIf(process.platform !== 'win32')('Ctrl-C', () => {
  test('once: the step ends, the adapter is saved, the process exits with 130', async () => {
    const { code, stdout, stderr } = await runProgram('slow-run.ts', ['train', ...argv], {
      interruptions: [{ after: 'ready' }],
    });
    expect(stderr).toContain('Stopping after this step');
    expect(stdout).toBe('Interrupted; saved my_lora.safetensors after 3 steps.\n');
    expect(code).toBe(130);
  });

  test('twice: the process ends at once, although a thread is busy; shells report 130', async () => {
    const started = performance.now();
    const { signal, stdout } = await runProgram('slow-run.ts', ['train', ...argv], {
      interruptions: [{ after: 'ready' }, { after: 'Stopping' }],
      environment: { SLOW_STEP: '1' },
    });
    expect(signal).toBe('SIGINT');
    expect(stdout).toBe('');
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});

test('the program shows its help through a pipe and exits with 0', async () => {
  const { code, stdout, stderr } = await runProgram('../src/bin.ts', ['train', '--help']);
  expect(stderr).toBe('');
  expect(stdout.endsWith('--print_config shows what they come to.\n')).toBe(true);
  expect(code).toBe(0);
});

test('a wrong command line exits with 2 and one block on standard error', async () => {
  const { code, stdout, stderr } = await runProgram('../src/bin.ts', ['train', '--sed', '1', '--dit', 'x']);
  expect(stdout).toBe('');
  expect(stderr.split('\n')[0]).toBe('error: 6 problems');
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(code).toBe(2);
});
