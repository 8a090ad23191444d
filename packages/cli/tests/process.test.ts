import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const options = {
  dataset_config: 'd.toml',
  dit: 'dit.safetensors',
  network_module: 'networks.lora_wan',
  optimizer_type: 'AdamW',
  output_dir: tmpdir(),
  output_name: 'musubi-process-test',
};
const argv = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);

/** Runs a file of ours, sends SIGINT whenever `interruptAt` appears, and waits for the end. */
function run(file: string, args: string[], { interruptAt = [] as string[], environment = {} } = {}) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=@musubi/source', path, ...args], {
    env: { ...process.env, ...environment },
  });
  const awaited = [...interruptAt];
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => (stdout += String(text)));
  child.stderr.on('data', (text) => {
    stderr += String(text);
    while (awaited[0] !== undefined && stderr.includes(awaited[0])) {
      awaited.shift();
      child.kill('SIGINT');
    }
  });
  return new Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    },
  );
}

// Windows has no SIGINT between processes: kill ends the child there.
describe.runIf(process.platform !== 'win32')('Ctrl-C', () => {
  test('once: the step ends, the adapter is saved, the process exits with 130', async () => {
    const { code, stdout, stderr } = await run('slow-run.ts', ['train', ...argv], { interruptAt: ['ready'] });
    expect(stderr).toContain('Stopping after this step');
    expect(stdout).toBe('Interrupted; saved my_lora.safetensors after 3 steps.\n');
    expect(code).toBe(130);
  });

  test('twice: the process ends at once, although a thread is busy; shells report 130', async () => {
    const started = performance.now();
    const { signal, stdout } = await run('slow-run.ts', ['train', ...argv], {
      interruptAt: ['ready', 'Stopping'],
      environment: { SLOW_STEP: '1' },
    });
    expect(signal).toBe('SIGINT');
    expect(stdout).toBe('');
    expect(performance.now() - started).toBeLessThan(15_000);
  });
});

test('the program shows its help through a pipe and exits with 0', async () => {
  const { code, stdout, stderr } = await run('../src/bin.ts', ['train', '--help']);
  expect(stderr).toBe('');
  expect(stdout.endsWith('sage_attn\n')).toBe(true);
  expect(code).toBe(0);
});

test('a wrong command line exits with 2 and one block on standard error', async () => {
  const { code, stdout, stderr } = await run('../src/bin.ts', ['train', '--sed', '1', '--dit', 'x']);
  expect(stdout).toBe('');
  expect(stderr.split('\n')[0]).toBe('error: 6 problems');
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(code).toBe(2);
});
