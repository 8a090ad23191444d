import type { AttentionChoice } from '@musubi/config';
import type { DatasetSummary } from '@musubi/dataset';
import type { Architecture } from '@musubi/models';
import type { AttentionPlan } from '@musubi/onnx-graph';

export interface AttentionFacts<Config> {
  readonly choice: AttentionChoice;
  readonly architecture: Pick<Architecture<Config>, 'attention' | 'sequenceLength'>;
  readonly config: Config;
  readonly datasets: readonly Pick<DatasetSummary, 'config' | 'buckets'>[];
  readonly gradientCheckpointing: boolean;
  /** Every how many blocks one is computed again, with `gradientCheckpointing`. */
  readonly gradientCheckpointingEvery: number;
  /** Physical memory of the machine in bytes. */
  readonly totalMemoryBytes: number;
}

export interface PlannedAttention {
  readonly plan: AttentionPlan;
  /** One line that says what was chosen, and why. */
  readonly reason: string;
}

/** What of the memory scores may take before they are computed in pieces. */
const scoreShare = 1 / 8;
/** Scores, their gradient and its product with the probabilities are there at once in the backward pass. */
const inBackward = 3;
const usualRows = 512;
/** Every piece is nodes of the graph, forward and backward. */
const usualPieces = 32;

/**
 * Chooses how attention over the sequence is computed (`--attn_mode`, `--attn_chunk`).
 *
 * With all scores at once a block keeps `4·B·heads·S²` bytes for the backward pass, with checkpointing only the block at
 * work and those that are not computed again. In pieces nothing of that size is kept, but each is computed once more. So short sequences stay whole.
 */
export function planAttention<Config>(facts: AttentionFacts<Config>): PlannedAttention {
  const { choice, totalMemoryBytes } = facts;
  const { tokens, bytes } = largestScores(facts);
  const rows = choice.chunk ?? Math.max(usualRows, Math.ceil(tokens / usualPieces));
  const chunks = Math.ceil(tokens / rows);
  const isLarge = bytes > totalMemoryBytes * scoreShare;
  const isWhole = choice.mode === 'whole' || (choice.mode === 'auto' && !isLarge) || chunks <= 1;
  const all = `all scores at once take ${gibibytes(bytes)} of ${gibibytes(totalMemoryBytes)} GiB`;
  return isWhole
    ? { plan: 'whole', reason: `attention over ${tokens} tokens: whole (${all})` }
    : {
        plan: { chunks, rows },
        reason: `attention over ${tokens} tokens: ${chunks} pieces of ${rows} queries (${all})`,
      };
}

/** The longest sequence, and the most bytes that scores take in a step. */
function largestScores<Config>(facts: AttentionFacts<Config>): { readonly tokens: number; readonly bytes: number } {
  const { architecture, config, datasets, gradientCheckpointing, gradientCheckpointingEvery } = facts;
  const { heads, layers } = architecture.attention(config);
  const recomputed = gradientCheckpointing ? Math.floor(layers / gradientCheckpointingEvery) : 0;
  const atOnce = Math.max(1, layers - recomputed) + inBackward - 1;
  const sequences = datasets.flatMap(({ config: { kind, batchSize }, buckets }) =>
    buckets.map(({ key: [width, height, frames] }) => ({
      batchSize,
      tokens: architecture.sequenceLength({
        width: Number(width),
        height: Number(height),
        frames: kind === 'video' ? Number(frames) : 1,
      }),
    })),
  );
  return {
    tokens: Math.max(1, ...sequences.map(({ tokens }) => tokens)),
    bytes: Math.max(0, ...sequences.map(({ batchSize, tokens }) => 4 * batchSize * heads * tokens ** 2 * atOnce)),
  };
}

const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
