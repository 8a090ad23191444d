export { openCheckpointFile } from './node/open-checkpoint.ts';
export { openSafetensorsFile } from './node/open-file.ts';
export { fileSource } from './node/file-source.ts';
export { fillSafetensorsFile } from './node/fill-file.ts';
export type { FileToFill } from './node/fill-file.ts';
export { writeSafetensorsFile } from './node/write-file.ts';
export { writeFileAtomic } from './node/atomic.ts';
