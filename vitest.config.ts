import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

// Tests read the packages' sources, so nothing has to be built first.
const conditions = ['@musubi/source', 'import', 'module', 'default'];

const include = [
  'packages/*/src/**/*.test.ts',
  'packages/*/tests/**/*.test.ts',
  'tests/**/*.test.ts',
  'examples/*/src/**/*.test.ts',
];
// `--exclude` does not reach projects: scripts/golden.mjs names here what it leaves out.
const leftOut = (process.env['MUSUBI_TEST_EXCLUDE'] ?? '').split(',').filter((path) => path !== '');
const exclude = ['**/node_modules/**', '**/*.slow.test.ts', '**/*.browser.test.ts', ...leftOut];

/**
 * Files that replace modules need a module registry of their own, and so a process. The others share one, which halves
 * the time of the pure packages: most of it was starting processes and loading the same modules again.
 */
const alone = ['packages', 'tests', 'examples'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file).replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules'))
    .filter((file) => /\bvi\.(mock|doMock)\(/.test(readFileSync(file, 'utf8'))),
);

const project = (
  name: string,
  files: Pick<NonNullable<TestProjectInlineConfiguration['test']>, 'include' | 'exclude' | 'isolate'>,
) => ({
  extends: true as const,
  test: { name, ...files },
});

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects: [
      project('shared', { include, exclude: [...exclude, ...alone], isolate: false }),
      project('alone', { include: alone, exclude, isolate: true }),
    ],
    setupFiles: ['./tests/all-close.ts', './tests/load-esbuild.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Tests that run side by side start processes of their own.
    maxConcurrency: 2,
    // Whole runs, also in hooks, on machines that do something else too.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
