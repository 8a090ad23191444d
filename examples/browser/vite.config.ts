import { defaultClientConditions, defineConfig } from 'vite';

import { offline } from './offline-plugin.ts';

/** What lets a page use several threads. A host of the built page has to send the same. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  // the built page works in any folder of a host
  base: './',
  resolve: {
    conditions: [
      // in the repository of the packages: their sources, so that nothing has to be built first
      '@musubi/source',
      // ONNX Runtime's own scripts stay files, which its threads load too
      'onnxruntime-web-use-extern-wasm',
      ...defaultClientConditions,
    ],
  },
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  worker: { format: 'es' },
  build: { target: 'es2022', chunkSizeWarningLimit: 1000, rolldownOptions: { checks: { pluginTimings: false } } },
  server: { headers: isolation },
  preview: { headers: isolation },
  plugins: [offline()],
});
