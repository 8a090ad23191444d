// Test files of packages for browsers that run in Node.js only, each with the reason.

const writes = 'writes files and reads them back';
const processes = 'starts processes of Node.js';
const nodeEntry = "is about the package's entry for Node.js";
const ownFiles = 'reads files that lie beside it';
const nodeRuntime = 'is about ONNX Runtime in Node.js';

export const notInBrowsers = {
  'packages/autodiff/tests/artifacts.test.ts': writes,
  'packages/dataset/tests/caches-golden.test.ts': nodeEntry,
  'packages/dataset/tests/caching-data.test.ts': writes,
  'packages/dataset/tests/config-golden.test.ts': writes,
  'packages/dataset/tests/decode-picture.test.ts': nodeEntry,
  'packages/dataset/tests/image-batches-golden.test.ts': nodeEntry,
  'packages/dataset/tests/kernels.test.ts': processes,
  'packages/dataset/tests/pictures-golden.test.ts': nodeEntry,
  'packages/dataset/tests/pillow.test.ts': ownFiles,
  'packages/dataset/tests/run-golden.test.ts': nodeEntry,
  'packages/dataset/tests/training-data.test.ts': writes,
  'packages/lora/tests/file-tools.test.ts': writes,
  'packages/models/tests/pth-checkpoint.test.ts': writes,
  'packages/models/tests/umt5.golden.test.ts': writes,
  'packages/models/tests/wan-vae.golden.test.ts': writes,
  'packages/models/tests/wan-weights.golden.test.ts': writes,
  'packages/onnx-graph/tests/analysis-runtime.test.ts': nodeRuntime,
  'packages/onnx-graph/tests/callers-line.test.ts': 'is about the stacks of errors of Node.js',
  'packages/onnx-graph/tests/external-data.test.ts': writes,
  'packages/onnx-graph/tests/readme.test.ts': ownFiles,
  'packages/onnx-graph/tests/strided-weights.test.ts': writes,
  'packages/optimizers/src/internal/adam-step.test.ts': processes,
  'packages/optimizers/tests/adamw-8bit.test.ts': 'hashes with node:crypto',
  'packages/quant-fp8/tests/files.test.ts': writes,
  'packages/quant-fp8/tests/golden-checkpoints.test.ts': nodeEntry,
  'packages/quant-fp8/tests/graph.test.ts': writes,
  'packages/quant-fp8/tests/kernels.test.ts': processes,
  'packages/quant-fp8/tests/memory.test.ts': processes,
  'packages/safetensors/tests/golden.test.ts': nodeEntry,
  'packages/safetensors/tests/node.test.ts': nodeEntry,
  'packages/safetensors/tests/pth-fixtures.test.ts': ownFiles,
  'packages/safetensors/tests/pth-hostile.test.ts': writes,
  'packages/safetensors/tests/pth-properties.test.ts': ownFiles,
  'packages/safetensors/tests/rename.test.ts': nodeEntry,
};
