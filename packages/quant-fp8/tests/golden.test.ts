import { toFloat32 } from '@musubi/safetensors';
import { describe, expect, test } from 'vitest';
import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import {
  FP8_TARGETS,
  chooseGrouping,
  decodeFp8,
  dequantizeWeight,
  encodeFp8,
  encodeScaled,
  isFp8Target,
  quantizeWeight,
  scaleBytes,
} from '../src/index.ts';
import type { Fp8Architecture, Fp8Format, Fp8Mode } from '../src/index.ts';
import { encodeClamped } from '../src/codec.ts';
import { createPlainEngine } from '../src/internal/plain-engine.ts';
import { quantizeStream } from '../src/internal/stream.ts';
import { createWasmEngine } from '../src/internal/wasm-engine.ts';

type Special = number | 'NaN' | 'Infinity' | '-Infinity';
type GoldenFormat = 'e4m3fn' | 'e5m2';

interface CodecVectors {
  decode: Record<GoldenFormat, Special[]>;
  encode: Record<
    GoldenFormat,
    {
      input_f32_base64: string;
      codes_base64: string;
      count: number;
      from_bfloat16?: { bf16_bits: number[]; codes: number[] };
      from_float16?: { f16_bits: number[]; codes: number[] };
    }
  >;
}

interface QuantizeCase {
  id: string;
  args: { shape: number[]; format: GoldenFormat; quantization_mode: Fp8Mode; block_size: number };
  input: { f32_base64?: string; bf16_base64?: string; f16_base64?: string };
  output: {
    codes_base64: string;
    scale_shape: number[];
    scale_f32: Special[];
    stored_scale: Special[];
    dequantized_base64_f32: string;
    rel_rms_error: number;
  };
}
interface ScaledCase {
  args: { format: GoldenFormat; scale: number };
  input: Special[];
  output: number[];
}
interface TargetCase {
  target_keys: string[];
  exclude_keys: string[];
  all_keys: string[];
  quantized: string[];
}

const codec = readGoldenJson<CodecVectors>('maths', 'fp8_codec.json');
const vectors = readGoldenJson<{ quantize_fp8: ScaledCase[]; cases: QuantizeCase[] }>('maths', 'fp8_quantize.json');
const lists = readGoldenJson<{ architectures: Record<string, { fp8: TargetCase | null }> }>(
  'maths',
  'lora_targets.json',
);

const formats = [
  ['e4m3', 'e4m3fn'],
  ['e5m2', 'e5m2'],
] as const satisfies [Fp8Format, GoldenFormat][];
const formatNamed = (golden: GoldenFormat): Fp8Format => (golden === 'e5m2' ? 'e5m2' : 'e4m3');

describe.each(formats)('%s', (format, name) => {
  test('decodes all 256 codes', () => {
    const expected = Float32Array.from(codec.decode[name], Number);
    expect(expected).toHaveLength(256);
    expect(decodeFp8(Uint8Array.from(expected.keys()), format)).toEqual(expected);
  });

  const { input_f32_base64, codes_base64, count, from_bfloat16, from_float16 } = codec.encode[name];
  test(`encodes ${count} numbers`, () => {
    expect(encodeFp8(floatsOf(input_f32_base64), format)).toEqual(bytesOf(codes_base64));
    expect(bytesOf(codes_base64)).toHaveLength(count);
  });

  test.each([
    ['bf16', 'BF16', from_bfloat16?.bf16_bits, from_bfloat16?.codes],
    ['fp16', 'F16', from_float16?.f16_bits, from_float16?.codes],
  ] as const)('encodes numbers that were %s', (_, dtype, bits = [], codes = []) => {
    const wide = toFloat32(new Uint8Array(Uint16Array.from(bits).buffer), dtype);
    expect(encodeFp8(wide, format)).toEqual(Uint8Array.from(codes));
  });
});

test.each(vectors.quantize_fp8)(
  'clamps and encodes in units of $args.scale, $args.format',
  ({ args, input, output }) => {
    const values = Float32Array.from(input, Number);
    const format = formatNamed(args.format);
    expect([...encodeClamped(values, args.scale, format)]).toEqual(output);
    const encode = () => [...encodeScaled(values, args.scale, format)];
    if (args.scale > 0) expect(encode()).toEqual(output);
    else expect(encode).toThrow(expect.objectContaining({ code: 'SCALE_INVALID' }));
  },
);

const engines = [createWasmEngine(), createPlainEngine()].filter((engine) => engine !== undefined);

describe.each(vectors.cases)('$id', ({ args, input, output }) => {
  const [key = '', text = ''] = Object.entries(input)[0] ?? [];
  const dtype = ({ f32_base64: 'F32', bf16_base64: 'BF16', f16_base64: 'F16' } as const)[key] ?? 'F32';
  const format = formatNamed(args.format);
  const options = { format, mode: args.quantization_mode, blockSize: args.block_size };
  const quantized = quantizeWeight({ dtype, shape: args.shape, data: bytesOf(text) }, options);

  test('has the scales and codes of the original', () => {
    expect(quantized.scaleShape).toEqual(output.scale_shape);
    expect(quantized.scales).toEqual(Float32Array.from(output.scale_f32, Number));
    expect(quantized.codes).toEqual(bytesOf(output.codes_base64));
    expect(toFloat32(scaleBytes(quantized), dtype)).toEqual(Float32Array.from(output.stored_scale, Number));
  });

  test('dequantizes to the numbers of the original', () => {
    expect(dequantizeWeight(quantized)).toEqual(floatsOf(output.dequantized_base64_f32));
    // The original sums squares in float32.
    expect(quantized.relativeError).toBeAllClose(output.rel_rms_error, { rtol: 1e-5 });
  });

  test.each(engines)('is the same with the $kind engine', (engine) => {
    const grouping = chooseGrouping(args.shape, options.mode, options.blockSize);
    const data = bytesOf(text);
    const pieces: number[] = [];
    const { scales } = quantizeStream(
      engine,
      { dtype, format, grouping },
      (into, first) => into.set(data.subarray(first, first + into.length)),
      (bytes) => pieces.push(...bytes),
    );
    expect(scales).toEqual(quantized.scales);
    expect(Uint8Array.from(pieces)).toEqual(quantized.codes);
  });
});

test('there are cases of every dtype, format and mode', () => {
  if (!isDefaultGolden) return;
  const kinds = new Set(vectors.cases.map(({ id }) => id.split('-').slice(1, 3).join(' ')));
  expect(kinds).toEqual(new Set(['float32', 'bfloat16', 'float16'].flatMap((d) => [`${d} e4m3fn`, `${d} e5m2`])));
  expect(vectors.quantize_fp8).not.toEqual([]);
  expect(Object.values(lists.architectures).filter(({ fp8 }) => fp8)).toHaveLength(Object.keys(FP8_TARGETS).length + 1);
});

describe.each(Object.entries(lists.architectures))('targets of %s', (name, { fp8 }) => {
  const architecture = architectureOf(name);
  test.runIf(fp8)('are those of the original', () => {
    const list = architecture && FP8_TARGETS[architecture];
    expect(new Set(list?.include)).toEqual(new Set(fp8!.target_keys));
    expect(new Set(list?.exclude)).toEqual(new Set(fp8!.exclude_keys));
    const chosen = fp8!.all_keys.filter((key) => isFp8Target(key, architecture!));
    expect(chosen.toSorted()).toEqual(fp8!.quantized.toSorted());
    const repackaged = fp8!.all_keys.filter((key) => isFp8Target(`model.diffusion_model.${key}`, architecture!));
    expect(repackaged).toEqual(chosen);
  });
  test.runIf(!fp8)('do not exist', () => {
    expect(architecture).toBeUndefined();
  });
});

/** The longest name in our table that the name of the vectors begins with: `wan_t2v_1_3B` is `wan`. */
function architectureOf(name: string): Fp8Architecture | undefined {
  const known = Object.keys(FP8_TARGETS) as Fp8Architecture[];
  return known.filter((ours) => name.startsWith(ours)).toSorted((a, b) => b.length - a.length)[0];
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

function floatsOf(base64: string): Float32Array {
  return new Float32Array(bytesOf(base64).buffer);
}
