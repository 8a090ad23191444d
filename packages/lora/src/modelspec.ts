import { LoraError } from './errors.ts';
import { pythonFloat } from './python-notation.ts';

interface ArchitectureSpec {
  /** `modelspec.architecture` before `/lora` */
  readonly name: string;
  /** source repository of the model */
  readonly implementation: string;
  /** width and height when the user gives none; a placeholder, training resolutions are in `ss_datasets` */
  readonly resolution: readonly [number, number];
}

const QWEN = 'https://github.com/QwenLM/Qwen-Image';

/** By the short names that caches and options use. */
const ARCHITECTURES = {
  hv: {
    name: 'hunyuan-video',
    implementation: 'https://github.com/Tencent/HunyuanVideo',
    resolution: [1280, 720],
  },
  wan: { name: 'wan2.1', implementation: 'https://github.com/Wan-Video/Wan2.1', resolution: [1280, 720] },
  fp: { name: 'framepack', implementation: 'https://github.com/lllyasviel/FramePack', resolution: [1280, 720] },
  fk: { name: 'Flux.1-dev', implementation: 'https://github.com/black-forest-labs/flux', resolution: [1280, 720] },
  qi: { name: 'Qwen-Image', implementation: QWEN, resolution: [1328, 1328] },
  qie: { name: 'Qwen-Image-Edit', implementation: QWEN, resolution: [1024, 1024] },
  qil: { name: 'Qwen-Image-Layered', implementation: `${QWEN}-Layered`, resolution: [1280, 720] },
} as const satisfies Record<string, ArchitectureSpec>;

export type ModelspecArchitecture = keyof typeof ARCHITECTURES;

export interface ModelspecFacts {
  /** short name: `hv`, `wan`, `fp`, `fk`, `qi`, `qie`, `qil` */
  readonly architecture: string;
  /** Unix seconds; recorded as local time, without zone */
  readonly timestamp: number;
  /** `--metadata_title`, else the output name */
  readonly title?: string | null;
  /** `--metadata_arch`: replaces the part before `/lora`; Qwen-Image-Edit 2509 and 2511 give their names here */
  readonly customArchitecture?: string | null;
  /** `--metadata_reso`: "width,height" or one number */
  readonly resolution?: string | null;
  readonly author?: string | null;
  readonly description?: string | null;
  readonly license?: string | null;
  readonly tags?: string | null;
  /** `--min_timestep`, `--max_timestep`; recorded when one is given, the other is then 0 or 1000 */
  readonly minTimestep?: number | null;
  readonly maxTimestep?: number | null;
}

/**
 * The `modelspec.` metadata (Stability AI, "ModelSpec" 1.0.0). Call it once before training, so that a wrong
 * `--metadata_reso` is found then and not at the first save.
 *
 * @throws {LoraError} `ARCHITECTURE_UNKNOWN`, `METADATA_RESOLUTION`
 */
export function modelspecMetadata(facts: ModelspecFacts): Record<string, string> {
  const spec = findArchitecture(facts.architecture);
  const [width, height] = facts.resolution == null ? spec.resolution : parseResolution(facts.resolution);
  const metadata: Record<string, string> = {
    'modelspec.sai_model_spec': '1.0.0',
    'modelspec.architecture': `${architectureName(facts, spec)}/lora`,
    'modelspec.implementation': spec.implementation,
    'modelspec.title': facts.title ?? `LoRA@${pythonFloat(facts.timestamp)}`,
    'modelspec.resolution': `${width}x${height}`,
    'modelspec.date': localTime(facts.timestamp),
  };
  for (const key of ['description', 'author', 'license', 'tags'] as const) {
    const value = facts[key];
    if (value != null) metadata[`modelspec.${key}`] = value;
  }
  if (facts.minTimestep != null || facts.maxTimestep != null) {
    metadata['modelspec.timestep_range'] = `${facts.minTimestep ?? 0},${facts.maxTimestep ?? 1000}`;
  }
  return metadata;
}

function findArchitecture(architecture: string): ArchitectureSpec {
  if (Object.hasOwn(ARCHITECTURES, architecture)) return ARCHITECTURES[architecture as ModelspecArchitecture];
  throw new LoraError(
    'ARCHITECTURE_UNKNOWN',
    `"${architecture}" is not the short name of an architecture.`,
    `Known are ${Object.keys(ARCHITECTURES).join(', ')}.`,
    { found: architecture },
  );
}

/** The two later versions of Qwen-Image-Edit are one architecture with the first and named between `@@`. */
function architectureName({ architecture, customArchitecture }: ModelspecFacts, spec: ArchitectureSpec): string {
  const custom = customArchitecture ?? spec.name;
  const version = architecture === 'qie' ? /^@@(Qwen-Image-Edit-(?:Plus|2511))@@$/.exec(custom) : null;
  return version?.[1] ?? custom;
}

function parseResolution(text: string): [number, number] {
  const sizes = text.split(',').map((part) => (/^\s*[0-9]+\s*$/.test(part) ? Number(part) : 0));
  const [width = 0, height = width, ...more] = sizes;
  if (width > 0 && height > 0 && more.length === 0) return [width, height];
  throw new LoraError(
    'METADATA_RESOLUTION',
    `metadata_reso = "${text}" is not a resolution.`,
    'Write width and height with a comma, e.g. "1280,720", or one number for a square.',
    { option: 'metadata_reso', found: text },
  );
}

/** `2026-11-24T19:25:08` */
function localTime(timestamp: number): string {
  const date = new Date(Math.trunc(timestamp) * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
