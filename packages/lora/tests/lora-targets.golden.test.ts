import { parsePythonLiteral, toPlain } from '../../config/src/index.ts';
import { describe, expect, test } from 'vitest';
import { readGoldenJson } from '../../../tests/golden.ts';
import { loraName, selectTargets } from '../src/index.ts';
import type { TargetModule, TargetRules } from '../src/index.ts';

interface Golden {
  architectures: Record<
    string,
    {
      network_module: string;
      target_block_classes: string[];
      loha_lokr_default_excludes: string[];
      blocks: [path: string, blockClass: string][];
      modules: [path: string, type: string][];
      selections: { args: { exclude_patterns?: string; include_patterns?: string }; lora: string[] }[];
    }
  >;
}

const { architectures } = readGoldenJson<Golden>('maths', 'lora_targets.json');

test('there are architectures', () => expect(Object.keys(architectures).length).toBeGreaterThan(0));

describe.each(Object.entries(architectures))('%s', (_, golden) => {
  const modules = golden.modules.flatMap(([path, type]): TargetModule[] => {
    const block = golden.blocks.find(([name]) => path.startsWith(`${name}.`));
    return type === 'Linear'
      ? [{ path, kind: 'linear', inFeatures: 1, outFeatures: 1, blockClass: block?.[1] ?? null }]
      : [];
  });

  test.each(golden.selections)('$args', ({ args, lora }) => {
    const user = { exclude: patterns(args.exclude_patterns), include: patterns(args.include_patterns) };
    const select = () => selectTargets(modules, rulesOf(golden), user).map(({ path }) => loraName(path));
    if (lora.length > 0) expect(select()).toEqual(lora);
    else expect(select).toThrow(expect.objectContaining({ code: 'EMPTY_SELECTION' }));
  });
});

/** FLUX drops its first default pattern as soon as the user gives any. */
function rulesOf({
  network_module,
  target_block_classes,
  loha_lokr_default_excludes,
}: Golden['architectures'][string]) {
  const isFlux = /lora_flux/.test(network_module);
  return {
    blockClasses: target_block_classes,
    exclude: isFlux ? loha_lokr_default_excludes.slice(1) : loha_lokr_default_excludes,
    ...(isFlux ? { excludeUnlessGiven: loha_lokr_default_excludes.slice(0, 1) } : {}),
  } satisfies TargetRules;
}

function patterns(text: string | undefined): string[] | null {
  return text === undefined ? null : (toPlain(parsePythonLiteral(text)) as string[]);
}
