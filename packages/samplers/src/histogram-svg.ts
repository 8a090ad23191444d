import { assertHistogram } from './internal/assert-histogram.ts';
import { panel, text } from './internal/svg.ts';
import type { TimestepHistogram } from './timestep-histogram.ts';

const ink = { draws: '#7c9cc4', expected: '#b03a2e', weights: '#7fae8c', limits: '#555555', slices: '#dddddd' };

/**
 * A histogram as an SVG picture of 1000 × 500: the draws with the expected density as a line, and the weights of the loss.
 * Dashed lines are the ends of the range, thin ones the slices of `num_timestep_buckets`.
 *
 * @param fontFamily font of the labels, default `sans-serif`
 * @throws {SamplerError} `BATCH_SHAPE`, `BAD_NUMBER` for what is no histogram
 */
export function histogramSvg(histogram: TimestepHistogram, fontFamily = 'sans-serif'): string {
  assertHistogram(histogram);
  const { settings, counts, expected, weights } = histogram;
  const { minTimestep, maxTimestep, timestepSampling } = settings;
  // For `sigma` the limits are those of schedule entries, which begin with the noisiest.
  const limits = timestepSampling === 'sigma' ? [1000 - maxTimestep, 1000 - minTimestep] : [minTimestep, maxTimestep];
  const isCut = limits[0]! > 0 || limits[1]! < 1000;
  const left = panel({
    x: 70,
    title: 'Sampled timesteps',
    xLabel: 'Timestep',
    yLabel: 'Count',
    // A few expected counts beyond all draws must not squeeze the picture.
    max: Math.max(...counts, 1) * 1.05,
  });
  const right = panel({
    x: 570,
    title: 'Sampled loss weighting',
    xLabel: 'Timestep',
    yLabel: 'Weighting',
    max: Math.max(...weights) * 1.05,
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="500" viewBox="0 0 1000 500" font-family="${fontFamily}">`,
    '<rect width="1000" height="500" fill="#ffffff"/>',
    text(500, 24, describe(histogram), { size: 13, anchor: 'middle' }),
    left.frame,
    ...sliceEnds(histogram).map((end) => left.vertical(end, ink.slices)),
    left.bars(counts, ink.draws),
    left.line(expected, ink.expected),
    ...(isCut ? limits.map((limit) => left.vertical(limit, ink.limits, '4 3')) : []),
    left.legend([
      ['drawn', ink.draws],
      ['expected', ink.expected],
    ]),
    right.frame,
    right.bars(weights, ink.weights),
    '</svg>',
  ].join('\n');
}

/**
 * Where the slices of uniform numbers end up: each holds an equal share of the draws. Mixtures have them in each part, `sigma`
 * does not use them, and with `preserve_distribution_shape` only some of them are left.
 */
function sliceEnds({ settings, expected, numTimestepBuckets: slices }: TimestepHistogram): number[] {
  const { timestepSampling, preserveDistributionShape } = settings;
  const isShown = slices !== null && slices > 1 && slices <= 100 && !preserveDistributionShape;
  if (!isShown || timestepSampling === 'sigma' || timestepSampling.startsWith('qinglong')) return [];
  const share = expected.reduce((sum, count) => sum + count, 0) / slices;
  const ends: number[] = [];
  let sum = 0;
  expected.forEach((count, k) => {
    while (ends.length < slices - 1 && sum + count > share * (ends.length + 1)) {
      ends.push(k + (share * (ends.length + 1) - sum) / count);
    }
    sum += count;
  });
  return ends;
}

/** The settings that matter, in one line. */
function describe({ settings, numTimestepBuckets }: TimestepHistogram): string {
  const { timestepSampling, weightingScheme, minTimestep, maxTimestep, preserveDistributionShape } = settings;
  return [
    `timestep_sampling = ${timestepSampling}`,
    ...(timestepSampling === 'shift' ? [`discrete_flow_shift = ${settings.discreteFlowShift}`] : []),
    ...(weightingScheme === 'none' ? [] : [`weighting_scheme = ${weightingScheme}`]),
    ...(minTimestep > 0 || maxTimestep < 1000 ? [`${minTimestep} to ${maxTimestep}`] : []),
    ...(preserveDistributionShape ? ['preserve_distribution_shape'] : []),
    ...(numTimestepBuckets !== null && numTimestepBuckets > 1 ? [`num_timestep_buckets = ${numTimestepBuckets}`] : []),
  ].join(', ');
}
