import type { CacheTextConfig } from '@musubi/config';

import { resolveWeights, umt5 } from '@musubi/models';
import { Graph, createParams } from '@musubi/onnx-graph';
import { openCheckpointFile } from '@musubi/safetensors/node';
import { assertVocabularyFits, cleanText } from '@musubi/tokenizer';
import { type Environment, openTokenizer } from '@musubi/tokenizer/node';

import type { EncodedValues } from '../../caching/stored-values.ts';
import type { Closing } from '../open-parts.ts';
import type { CachingHooks } from './hooks.ts';

import { TrainerError } from '../../errors.ts';
import { chooseDevice } from '../choose-device.ts';
import { createOpenGraph } from '../open-encoder.ts';
import { createWeightFiles } from '../open-parts.ts';
import { openRuntime } from '../open-runtime.ts';
import { withFile } from '../with-file.ts';
import { type Openable, filesOf, once } from './openable.ts';

export interface CaptionEncoder {
  /** The embeddings of captions, `[L, D]` each, of as many rows as the caption has tokens. */
  encode(captions: readonly string[]): Promise<EncodedValues[]>;
}

/** Of the tokenizer, where it is not beside the checkpoint. */
const repository = 'google/umt5-xxl';

/**
 * Wan's text encoder: headers and tokenizer are read at once, so that a wrong file ends the run before anything is
 * encoded; `open` makes the session.
 */
export async function openCaptionEncoder(
  { t5, tokenizer: folder, device, strictDevice }: CacheTextConfig,
  closing: Closing,
  { runtime, logger = () => {} }: CachingHooks,
  environment?: Environment,
): Promise<Openable<CaptionEncoder>> {
  const [model, weightFiles] = await withFile('t5', t5, async () => {
    const checkpoint = await openCheckpointFile(t5);
    closing.push(() => checkpoint.close());
    return [resolveWeights(checkpoint, umt5), filesOf(checkpoint)] as const;
  });
  const loadTokenizer = () =>
    openTokenizer({
      tokenizer: folder,
      besideFile: t5,
      repository,
      logger,
      ...(environment ? { environment } : {}),
    });
  const tokenizer = await (folder === null ? loadTokenizer() : withFile('tokenizer', folder, loadTokenizer));
  assertVocabularyFits(tokenizer, model.config.vocabulary);
  const open = once(async (): Promise<CaptionEncoder> => {
    const files = createWeightFiles();
    const graph = new Graph(umt5.longName);
    const params = createParams(graph, model.source(files.locate('')));
    graph.output('embeddings', umt5.build(params, model.config).embeddings);
    const openGraph = createOpenGraph(await openRuntime(runtime, closing), {
      externalFiles: files.paths,
      weights: model.weights,
      device: await chooseDevice(device, logger),
      placement: { isStrict: strictDevice, logger, closing },
    });
    const session = await openGraph(graph, 'text encoder');
    closing.push(() => session.release());
    return {
      async encode(captions) {
        const ids = captions.map((caption) => tokenizer.encode(cleanText(caption)));
        const { embeddings } = await session.run(umt5.prepare(model.config, ids));
        if (!embeddings) throw new TrainerError('BATCH_UNFIT', 'internal: no embeddings.', 'Please report it.');
        return umt5.split(embeddings, ids).map(({ shape, data }) => ({ shape, data: data as Float32Array }));
      },
    };
  });
  return { files: [...weightFiles, tokenizer.file], open };
}
