export { injectLora } from './graph/inject.ts';
export type { InjectedAdapter } from './graph/inject.ts';
export { adapterSource } from './graph/adapter-source.ts';
export { loraFeeds } from './graph/feeds.ts';
