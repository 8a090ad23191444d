// Runs test files in this page or worker and reports what became of each test.
import type { File, Task, VitestRunner } from '@vitest/runner';

import { startTests } from '@vitest/runner';
import { getFullName } from '@vitest/runner/utils';

export interface TestFile {
  /** In the repository. */
  readonly path: string;
  /** Its bundle. */
  readonly url: string;
}

export interface Report {
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly { readonly name: string; readonly message: string }[];
  /** Tests that passed and the time they took in ms, by file. */
  readonly files: readonly { readonly path: string; readonly passed: number; readonly ms: number }[];
}

export async function runTests(files: readonly TestFile[]): Promise<Report> {
  const urls = new Map(files.map(({ path, url }) => [path, url]));
  const runner: VitestRunner = {
    config: {
      root: '',
      setupFiles: [],
      name: undefined,
      passWithNoTests: false,
      testNamePattern: undefined,
      allowOnly: false,
      sequence: { seed: 0, hooks: 'stack', setupFiles: 'parallel' },
      chaiConfig: undefined,
      maxConcurrency: 2,
      testTimeout: 120_000,
      hookTimeout: 120_000,
      retry: 0,
      includeTaskLocation: undefined,
      tags: [],
      tagsFilter: [],
      strictTags: false,
    } as unknown as VitestRunner['config'],
    async importFile(path) {
      await import(urls.get(path) ?? path);
    },
  };
  const results: File[] = [];
  // one file after another, as there is one thread
  for (const { path } of files) results.push(...(await startTests([path], runner)));
  return summarize(results);
}

export const merge = (reports: readonly Report[]): Report => ({
  passed: reports.reduce((sum, { passed }) => sum + passed, 0),
  skipped: reports.reduce((sum, { skipped }) => sum + skipped, 0),
  failures: reports.flatMap(({ failures }) => failures),
  files: reports.flatMap(({ files }) => files),
});

function summarize(files: readonly File[]): Report {
  const tests = files.flatMap((file) => testsOf(file).map((test) => ({ file, test })));
  const passed = tests.filter(({ test }) => test.result?.state === 'pass');
  const broken = [...files, ...files.flatMap(suitesOf)].filter((task) => task.result?.errors?.length);
  const failed = [...tests.map(({ test }) => test).filter((test) => test.result?.state === 'fail'), ...broken];
  return {
    passed: passed.length,
    skipped: tests.length - passed.length - failed.filter((task) => task.type === 'test').length,
    failures: failed.map((task) => ({ name: getFullName(task), message: messageOf(task) })),
    files: files.map((file) => ({
      path: file.filepath,
      passed: passed.filter((entry) => entry.file === file).length,
      ms: (file.result?.duration ?? 0) + (file.collectDuration ?? 0),
    })),
  };
}

function testsOf(task: Task): Task[] {
  return 'tasks' in task ? task.tasks.flatMap(testsOf) : [task];
}

function suitesOf(task: Task): Task[] {
  return 'tasks' in task ? task.tasks.flatMap((inner) => ('tasks' in inner ? [inner, ...suitesOf(inner)] : [])) : [];
}

const messageOf = ({ result }: Task): string =>
  (result?.errors ?? []).map(({ message, stack }) => `${message}\n${stack ?? ''}`).join('\n') || 'no message';
