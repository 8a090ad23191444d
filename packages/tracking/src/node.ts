export { openJsonLog } from './json-log.ts';
export type { JsonLog } from './json-log.ts';
export { openTensorBoardLog } from './tensorboard-log.ts';
export type { TensorBoardLog, TensorBoardLogOptions } from './tensorboard-log.ts';
export { createTerminalProgress } from './terminal-progress.ts';
export type { ProgressStream, TerminalProgress, TerminalProgressOptions } from './terminal-progress.ts';
