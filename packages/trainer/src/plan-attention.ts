import type { AttentionChoice } from '@musubi/config';
import type { DatasetSummary } from '@musubi/dataset';
import type { Architecture } from '@musubi/models';
import type { AttentionPlan, ProductDtype } from '@musubi/onnx-graph';

/** What there is to compute in. */
export interface AttentionRoom {
  /** Memory of the machine, or of the card, in bytes. */
  readonly totalMemoryBytes: number;
  /** Whether that is memory of a card. Default false. */
  readonly isOfCard?: boolean;
  /** Most bytes of one tensor on the device; default: no limit. */
  readonly largestTensorBytes?: number;
}

export interface AttentionFacts<Config> extends AttentionRoom {
  readonly choice: AttentionChoice;
  readonly architecture: Pick<Architecture<Config>, 'attention' | 'sequenceLength'>;
  readonly config: Config;
  readonly datasets: readonly Pick<DatasetSummary, 'config' | 'buckets'>[];
  readonly gradientCheckpointing: boolean;
  /** Every how many blocks one is computed again, with `gradientCheckpointing`. */
  readonly gradientCheckpointingEvery: number;
  /** Number type of matrix products, default float32. */
  readonly products?: ProductDtype;
}

export interface PlannedAttention {
  readonly plan: AttentionPlan;
  /** One line that says what was chosen, and why. */
  readonly reason: string;
}

/** What of the memory scores may take before they are computed in pieces. */
const scoreShare = 1 / 8;
/** Bytes of a score: in float32, and once more as a product in 16 bits takes or gives it. */
const [wide, narrow] = [4, 2];
const usualRows = 512;
/** Every piece is nodes of the graph, forward and backward. */
const usualPieces = 32;
/** Where the device limits its tensors: with more a graph takes longer to load than a run is worth. */
const mostPieces = 128;

/**
 * Chooses how attention over the sequence is computed (`--attn_mode`, `--attn_chunk`).
 *
 * With all scores at once a block keeps `4·B·heads·S²` bytes for the backward pass, with products in 16 bits
 * `6·B·heads·S²`: float32 probabilities for their gradient, narrowed ones for their product with the values. With
 * checkpointing only the block at work does, and those that are not computed again. In pieces nothing of that size is kept,
 * but each is computed once more. So short sequences stay whole. Where the device limits its tensors, no piece has more
 * scores than fit into one, `4·B·heads·S` bytes a query. What options say is done, whatever fits.
 */
export function planAttention<Config>(facts: AttentionFacts<Config>): PlannedAttention {
  const { choice, totalMemoryBytes, isOfCard = false, largestTensorBytes = Infinity } = facts;
  const { tokens, bytes, bytesOfBlock, bytesOfQuery } = largestScores(facts);
  const isLarge = bytes > totalMemoryBytes * scoreShare;
  const fits = bytesOfBlock <= largestTensorBytes;
  const rows = choice.chunk ?? Math.min(usualRowsOf(tokens), rowsThatFit(tokens, largestTensorBytes / bytesOfQuery));
  const chunks = Math.ceil(tokens / rows);
  const isWhole = choice.mode === 'whole' || (choice.mode === 'auto' && !isLarge && fits) || chunks <= 1;
  const whose = isOfCard ? " of the card's memory" : '';
  const all = `all scores at once take ${gibibytes(bytes)} of ${gibibytes(totalMemoryBytes)} GiB${whose}`;
  const limit = `, ${mebibytes(bytesOfBlock)} MiB in a tensor, where ${mebibytes(largestTensorBytes)} MiB is the most`;
  const ofPiece = bytesOfQuery * (rows + zeroRows);
  const tooLarge = !isWhole && ofPiece > largestTensorBytes ? `; a piece takes ${mebibytes(ofPiece)} MiB` : '';
  const why = `(${all}${fits ? '' : limit}${tooLarge})`;
  return isWhole
    ? { plan: 'whole', reason: `attention over ${tokens} tokens: whole ${why}` }
    : { plan: { chunks, rows }, reason: `attention over ${tokens} tokens: ${chunks} pieces of ${rows} queries ${why}` };
}

const usualRowsOf = (tokens: number): number => Math.max(usualRows, Math.ceil(tokens / usualPieces));

/** Before the rows of a piece in the backward pass. */
const zeroRows = 1;

const rowsThatFit = (tokens: number, most: number): number =>
  Math.max(Math.ceil(tokens / mostPieces), Math.floor(most) - zeroRows);

interface Scores {
  /** The longest sequence. */
  readonly tokens: number;
  /** Most bytes in a step. */
  readonly bytes: number;
  /** Most bytes of all scores of one block, and of those of one query. */
  readonly bytesOfBlock: number;
  readonly bytesOfQuery: number;
}

function largestScores<Config>(facts: AttentionFacts<Config>): Scores {
  const { architecture, config, datasets, products = 'float32' } = facts;
  const { gradientCheckpointing, gradientCheckpointingEvery } = facts;
  const { heads, layers } = architecture.attention(config);
  const recomputed = gradientCheckpointing ? Math.floor(layers / gradientCheckpointingEvery) : 0;
  const kept = Math.max(1, layers - recomputed);
  const both = products === 'float32' ? wide : wide + narrow;
  // What is kept, then of the block in its backward pass the gradient of its probabilities, and that of its scores.
  const bytesOfScore = kept * both + both + wide;
  const sequences = datasets.flatMap(({ config: { kind, batchSize }, buckets }) =>
    buckets.map(({ key: [width, height, frames] }) => {
      const tokens = architecture.sequenceLength({
        width: Number(width),
        height: Number(height),
        frames: kind === 'video' ? Number(frames) : 1,
      });
      return { tokens, bytesOfQuery: wide * batchSize * heads * tokens };
    }),
  );
  const bytesOfBlock = Math.max(0, ...sequences.map(({ tokens, bytesOfQuery }) => tokens * bytesOfQuery));
  return {
    tokens: Math.max(1, ...sequences.map(({ tokens }) => tokens)),
    bytes: (bytesOfBlock / wide) * bytesOfScore,
    bytesOfBlock,
    bytesOfQuery: Math.max(1, ...sequences.map(({ bytesOfQuery }) => bytesOfQuery)),
  };
}

const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
