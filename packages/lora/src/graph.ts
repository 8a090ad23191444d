export { injectLora } from './graph/inject.ts';
export type { InjectedAdapter } from './graph/inject.ts';
export { adapterSource } from './graph/adapter-source.ts';
export { loraFeeds } from './graph/feeds.ts';
export { planDropout } from './graph/dropout-feeds.ts';
export type { DropoutFeeds } from './graph/dropout-feeds.ts';
