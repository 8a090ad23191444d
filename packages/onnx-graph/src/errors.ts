import { keepCallersLines } from './internal/callers-lines.ts';

/** Stable codes of {@link GraphError}. */
export type GraphErrorCode =
  | 'SHAPE_MISMATCH'
  | 'DTYPE_MISMATCH'
  | 'BAD_DIMENSION'
  | 'BAD_ATTRIBUTE'
  | 'UNKNOWN_OPERATOR'
  | 'UNKNOWN_VALUE'
  | 'DUPLICATE_NAME'
  | 'INLINE_TOO_LARGE'
  | 'MISSING_PARAMETER'
  | 'UNSUPPORTED_LAYOUT'
  | 'INVALID_MODEL';

/**
 * A mistake in a graph: found while building it, on the line that made it, or while decoding a model. Its stack starts at
 * that line, not inside this package.
 */
export class GraphError extends Error {
  override readonly name = 'GraphError';
  readonly code: GraphErrorCode;
  readonly remedy: string;
  /** Name of the node or value concerned, e.g. `blocks.3/self_attn/MatMul_1`. */
  readonly at: string;

  constructor(code: GraphErrorCode, at: string, found: string, remedy: string, options?: { cause?: unknown }) {
    super(`${at || 'graph'}: ${found} ${remedy}`, options);
    this.code = code;
    this.at = at;
    this.remedy = remedy;
    keepCallersLines(this, GraphError);
  }
}
