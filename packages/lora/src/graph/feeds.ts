import type { HostTensor } from '@musubi/onnx-graph';
import { loraParameters } from '../adapter.ts';
import type { Adapter } from '../adapter.ts';

/** What the inputs that `injectLora` made are fed with. The arrays are the adapter's own, not copies. */
export function loraFeeds(adapter: Adapter, prefix = ''): Record<string, HostTensor> {
  const feeds: Record<string, HostTensor> = {};
  for (const { name, shape, data } of loraParameters(adapter)) {
    feeds[`${prefix}${name}`] = { dtype: 'float32', shape, data };
  }
  return feeds;
}
