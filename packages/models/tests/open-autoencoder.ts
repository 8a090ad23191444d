import { basename, dirname } from 'node:path';

import { type Graph, encodeModel, fuseProducts, gateWeights } from '@musubi/onnx-graph';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { InferenceSession } from 'onnxruntime-node';

import type { ImageDecoder, ImageEncoder, OpenedGraph, WanVaeConfig } from '../src/index.ts';

import { resolveWeights, wanVae } from '../src/index.ts';
import { sessionOptions, toHost, toTensors } from './run-encoder.ts';

/** A Wan VAE on the CPU. */
export interface OpenedAutoencoder {
  readonly config: WanVaeConfig;
  encoder(): ImageEncoder;
  decoder(): ImageDecoder;
  /** Sessions that are not released. */
  opened(): number;
  /** Labels of all sessions made. */
  readonly labels: readonly string[];
  /** Bytes that went into each run. */
  readonly feedBytes: readonly number[];
}

export async function openAutoencoder(checkpoint: string): Promise<OpenedAutoencoder> {
  const store = await openSafetensorsFile(checkpoint);
  const { config, source } = resolveWeights(store, wanVae);
  await store.close();
  const weights = source((file) => basename(file));
  const labels: string[] = [];
  const feedBytes: number[] = [];
  let opened = 0;

  async function open(graph: Graph, label: string): Promise<OpenedGraph> {
    labels.push(label);
    const model = encodeModel(gateWeights(fuseProducts(graph)));
    const session = await InferenceSession.create(model, sessionOptions(dirname(checkpoint)));
    opened++;
    return {
      async run(feeds) {
        feedBytes.push(Object.values(feeds).reduce((sum, { data }) => sum + data.byteLength, 0));
        return toHost(await session.run(toTensors(feeds)));
      },
      async release() {
        opened--;
        await session.release();
      },
    };
  }
  return {
    config,
    labels,
    feedBytes,
    encoder: () => wanVae.createEncoder(weights, config, open),
    decoder: () => wanVae.createDecoder(weights, config, open),
    opened: () => opened,
  };
}
