import { Graph, type ParameterSource, createParams, fuseProducts, matmul, transpose } from '@musubi/onnx-graph';
import { operatorCounts } from '@musubi/onnx-graph/analysis';
import { describe, expect, test } from 'vitest';

import { lowerEightBit } from './lower-eight-bit.ts';

const [out, width] = [128, 64];

/** A layer with its codes and scales in a file. */
const stored =
  (dtype: 'float8e4m3fn' | 'uint8'): ParameterSource =>
  (name) => {
    const isScale = name === 'layer.scale_weight';
    const shape = isScale ? [out, 1, 1] : [out, width];
    const length = isScale ? 4 * out : out * width;
    return { dtype: isScale ? 'float32' : dtype, shape, external: { location: 'base', offset: 0, length } };
  };

function layer(source: ParameterSource): Graph {
  const graph = new Graph('layer');
  const x = graph.input('x', 'float32', ['t', width]);
  const weight = createParams(graph, source).at('layer').tensor('weight', [out, width]);
  graph.output('y', matmul(x, transpose(weight, [1, 0])));
  return fuseProducts(graph);
}

function lowered(...[method, options]: Parameters<typeof lowerEightBit>) {
  const source = stored(method === 'int8' ? 'uint8' : 'float8e4m3fn');
  const graph = lowerEightBit(method, options)(layer(source), source);
  const operators = [...operatorCounts(graph).keys()].map((name) => name.replace(/^.*\./, ''));
  const targets = graph.nodes.filter(({ op }) => op === 'Reshape').map(({ inputs }) => inputs[1]);
  return { operators, dtypes: new Set(graph.initializers.map(({ dtype }) => dtype)), targets };
}

describe('the form of 8-bit weights follows from the provider', () => {
  test.each(['cpu', 'wasm', undefined] as const)('%s reads their bits', (provider) => {
    const { operators, dtypes } = lowered('scaled', provider ? { provider } : {});
    expect(dtypes).toContain('int8');
    expect(operators).toContain('BitCast');
    expect(operators).not.toContain('DequantizeLinear');
  });

  test('cuda has 8-bit floats', () => {
    const { operators, dtypes } = lowered('scaled', { provider: 'cuda' });
    expect(dtypes).toContain('float8e4m3fn');
    expect(operators).toContain('DequantizeLinear');
  });

  test.each(['webgpu', 'dml', 'coreml'] as const)('%s looks them up in a table', (provider) => {
    const { operators, dtypes, targets } = lowered('scaled', { provider });
    expect(dtypes).not.toContain('float8e4m3fn');
    expect(operators).toContain('Gather');
    // a target that is computed would be read on the host, for which the device would wait
    expect(targets.filter((target) => !target?.data)).toEqual([]);
    expect(operators).toContain('DequantizeLinear');
  });

  test('a processor waits in a target, which costs it no pass', () => {
    const { targets } = lowered('scaled', { codes: 'table' });
    expect(targets.filter((target) => !target?.data)).not.toEqual([]);
  });

  test('integers are widened where there is no 8-bit product', () => {
    expect(lowered('int8', { provider: 'cpu' }).operators).toContain('MatMulNBits');
    const { operators } = lowered('int8', { provider: 'webgpu' });
    expect(operators).not.toContain('MatMulNBits');
    expect(operators).toContain('DequantizeLinear');
    expect(lowered('int8', { provider: 'cpu', forward: 'dequantize' }).operators).not.toContain('DequantizeLinear');
  });
});
