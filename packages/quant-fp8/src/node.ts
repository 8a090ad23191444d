export { dequantizeFile, quantizeFile } from './node/quantize-file.ts';
export { assertQuantizable, quantizeStore } from './node/quantize-store.ts';
export type { FileOptions, QuantizeFileOptions, QuantizeStoreOptions } from './node/quantize-store.ts';
