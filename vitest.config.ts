import { defineConfig } from 'vitest/config';

// Tests read the packages' sources, so nothing has to be built first.
const conditions = ['@musubi/source', 'import', 'module', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'packages/*/tests/**/*.test.ts',
      'tests/**/*.test.ts',
      'examples/*/src/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/*.slow.test.ts', '**/*.browser.test.ts'],
    setupFiles: ['./tests/all-close.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Tests that run side by side start processes of their own.
    maxConcurrency: 2,
    // Whole runs, also in hooks, on machines that do something else too.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
