import { findEngine, probeProvider } from '@musubi/runtime/node';

import type { TryProducts } from '../choose-products.ts';
import type { Device } from './choose-device.ts';

/** Tries products on a device in a process of its own, which may crash. */
export const tryProducts =
  ({ provider, deviceId }: Device): TryProducts =>
  (products) =>
    probeProvider(provider, { enginePath: findEngine().path, deviceId, products });
