/**
 * What bitsandbytes' kernels for AdamW compute, written for tests: plain, slow, and sharing nothing with the sources. Every
 * operation is rounded to float32 and none fused.
 */

const f = Math.fround;

/** The 256 values of its dynamic map, by its definition: interval ends, their means, a power of ten for each exponent. */
export function dynamicMap(signed: boolean): number[] {
  const map: number[] = [0, 1];
  for (let exponent = -6; exponent <= 0; exponent++) {
    const intervals = (signed ? 1 : 2) * 2 ** (exponent + 6);
    const ends = linspace(f(0.1), 1, intervals + 1);
    for (let i = 1; i < ends.length; i++) {
      const mean = f(f(ends[i - 1]! + ends[i]!) / 2);
      const value = f(f(Number(`1e${exponent}`)) * mean);
      map.push(value);
      if (signed) map.push(-value);
    }
  }
  return map.toSorted((a, b) => a - b);
}

/** The first half counted from the start, the second from the end, each with one rounding. */
function linspace(start: number, end: number, steps: number): number[] {
  const step = f(f(end - start) / (steps - 1));
  const values: number[] = [];
  for (let i = 0; i < steps; i++) {
    values.push(i < Math.floor(steps / 2) ? f(start + step * i) : f(end - step * (steps - 1 - i)));
  }
  return values;
}

/** The search of its kernels: probes in steps of 64 to 1 from the middle, then the midpoint to the neighbour on x's side. */
export function quantize(x: number, map: readonly number[]): number {
  let [probe, below, above] = [127, 0, 255];
  let [lowest, highest] = [map[0]! < 0 ? -1 : 0, 1];
  for (const stride of [64, 32, 16, 8, 4, 2, 1]) {
    if (x > map[probe]!) [below, lowest, probe] = [probe, map[probe]!, probe + stride];
    else [above, highest, probe] = [probe, map[probe]!, probe - stride];
  }
  const value = map[probe]!;
  if (x > value) return x > f(f(highest + value) * 0.5) ? above : probe;
  return x < f(f(lowest + value) * 0.5) ? below : probe;
}

export interface AdamSettings {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
}

export interface CodedState {
  readonly codes1: Uint8Array;
  readonly codes2: Uint8Array;
  readonly absmax1: Float32Array;
  readonly absmax2: Float32Array;
}

export const newState = (size: number): CodedState => ({
  codes1: new Uint8Array(size),
  codes2: new Uint8Array(size),
  absmax1: new Float32Array(Math.ceil(size / 256)),
  absmax2: new Float32Array(Math.ceil(size / 256)),
});

/** One update with coded moments, in place. */
export function updateCoded(p: Float32Array, g: Float32Array, state: CodedState, step: number, settings: AdamSettings) {
  const [map1, map2] = [dynamicMap(true), dynamicMap(false)];
  const { codes1, codes2, absmax1, absmax2 } = state;
  const [beta1, beta2] = [f(settings.beta1), f(settings.beta2)];
  const m: number[] = [];
  const v: number[] = [];
  for (let i = 0; i < p.length; i++) {
    const block = Math.floor(i / 256);
    if (!Number.isFinite(g[i])) {
      m.push(0);
      v.push(0);
      continue;
    }
    const oldM = f(map1[codes1[i]!]! * absmax1[block]!);
    const oldV = f(map2[codes2[i]!]! * absmax2[block]!);
    m.push(f(f(oldM * beta1) + f(f(1 - beta1) * g[i]!)));
    v.push(f(f(oldV * beta2) + f(f(f(1 - beta2) * g[i]!) * g[i]!)));
    p[i] = moved(p[i]!, m[i]!, v[i]!, step, settings);
  }
  for (let block = 0; block < absmax1.length; block++) {
    absmax1[block] = Math.max(...m.slice(256 * block, 256 * block + 256).map(Math.abs));
    absmax2[block] = Math.max(...v.slice(256 * block, 256 * block + 256));
  }
  for (let i = 0; i < p.length; i++) {
    const block = Math.floor(i / 256);
    codes1[i] = quantize(f(m[i]! / absmax1[block]!), map1);
    codes2[i] = quantize(f(v[i]! / absmax2[block]!), map2);
    if (isNegative(map1[codes1[i]!]!) !== isNegative(m[i]!)) codes1[i]! += m[i]! > 0 ? 1 : -1;
  }
}

/** One update of a parameter that is too small for codes, in place. */
export function updatePlain(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  step: number,
  settings: AdamSettings,
) {
  const [beta1, beta2] = [f(settings.beta1), f(settings.beta2)];
  for (let i = 0; i < p.length; i++) {
    m[i] = f(m[i]! * beta1) + f(f(1 - beta1) * g[i]!);
    v[i] = f(v[i]! * beta2) + f(f(1 - beta2) * f(g[i]! * g[i]!));
    p[i] = moved(p[i]!, m[i]!, v[i]!, step, settings);
  }
}

function moved(p: number, m: number, v: number, step: number, settings: AdamSettings): number {
  const [lr, eps, decay] = [f(settings.lr), f(settings.eps), f(settings.weightDecay)];
  const correction1 = f(1 - f(f(settings.beta1) ** step));
  const correction2 = f(Math.sqrt(f(1 - f(f(settings.beta2) ** step))));
  const stepSize = f(f(-lr * correction2) / correction1);
  const updated = f(p + f(stepSize * f(m / f(f(Math.sqrt(v)) + f(correction2 * eps)))));
  return decay > 0 ? f(updated * f(1 - f(lr * decay))) : updated;
}

const isNegative = (x: number): boolean => x < 0 || Object.is(x, -0);
