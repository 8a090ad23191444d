export { averageLoraFiles } from './node/average-files.ts';
export type { AverageRequest } from './node/average-files.ts';
export { convertLoraFile } from './node/convert-file.ts';
export type { ConvertRequest } from './node/convert-file.ts';
export { mergeLoraFiles } from './node/merge-files.ts';
export type { MergeRequest } from './node/merge-files.ts';
