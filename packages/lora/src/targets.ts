import { LoraError } from './errors.ts';
import { loraName } from './naming.ts';
import { compilePattern } from './pattern.ts';

/** One layer of a model that can carry an adapter. */
export interface TargetModule {
  /** e.g. `blocks.0.self_attn.q` */
  readonly path: string;
  readonly kind: 'linear';
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** class of the block it lies in, e.g. `WanAttentionBlock`; null outside of blocks */
  readonly blockClass: string | null;
}

/** What an architecture adapts when the user says nothing. */
export interface TargetRules {
  /** only modules in blocks of these classes */
  readonly blockClasses: readonly string[];
  /** patterns added to those of the user */
  readonly exclude: readonly string[];
  /** patterns used only when the user gives no `exclude_patterns` at all (FLUX) */
  readonly excludeUnlessGiven?: readonly string[];
}

export interface UserPatterns {
  /** Python regular expressions that match whole paths; null or left out: none given */
  readonly exclude?: readonly string[] | null | undefined;
  /** take back what `exclude` left out; they do not narrow the selection */
  readonly include?: readonly string[] | null | undefined;
}

/**
 * The modules that get an adapter: those in the right blocks that no exclude pattern matches, or an include pattern does.
 *
 * @param modules in the order of the model
 * @returns in the same order, never empty
 * @throws {LoraError} `EMPTY_SELECTION`, `DUPLICATE_NAME`, `PATTERN_INVALID`, `PATTERN_UNSUPPORTED`
 */
export function selectTargets(
  modules: readonly TargetModule[],
  rules: TargetRules,
  user: UserPatterns = {},
): TargetModule[] {
  const excludes = [...(user.exclude ?? rules.excludeUnlessGiven ?? []), ...rules.exclude];
  const exclude = excludes.map((pattern) => compilePattern(pattern, 'exclude_patterns'));
  const include = (user.include ?? []).map((pattern) => compilePattern(pattern, 'include_patterns'));

  const inBlocks = modules.filter(({ blockClass }) => blockClass !== null && rules.blockClasses.includes(blockClass));
  const selected = inBlocks.filter(
    ({ path }) => !exclude.some((pattern) => pattern.test(path)) || include.some((pattern) => pattern.test(path)),
  );
  if (selected.length === 0) {
    const blocks = `the ${inBlocks.length} linear layers in blocks of class ${rules.blockClasses.join(', ')}`;
    const example = inBlocks[0] ? ` A path looks like this: ${inBlocks[0].path}.` : '';
    throw new LoraError(
      'EMPTY_SELECTION',
      `no module is left to train: of ${blocks} exclude_patterns leave none.`,
      `Loosen exclude_patterns or add include_patterns; both match whole paths.${example}`,
      { option: 'exclude_patterns', found: excludes.join(' ') },
    );
  }
  assertDistinct(selected);
  return selected;
}

function assertDistinct(modules: readonly TargetModule[]): void {
  const paths = new Map<string, string>();
  for (const { path } of modules) {
    const name = loraName(path);
    const other = paths.get(name);
    if (other !== undefined) {
      throw new LoraError(
        'DUPLICATE_NAME',
        `"${path}" and "${other}" are both called ${name} in a file.`,
        'Exclude one of them with exclude_patterns.',
        { module: name },
      );
    }
    paths.set(name, path);
  }
}
