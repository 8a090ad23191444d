import type { Provider } from '@musubi/runtime';

import { findEngine, probeProvider } from '@musubi/runtime/node';

import type { TryProducts } from '../choose-products.ts';

/** Tries products on a provider in a process of its own, which may crash. */
export const tryProducts =
  (provider: Provider): TryProducts =>
  (products) =>
    probeProvider(provider, { enginePath: findEngine().path, products });
