import type { ProviderProbe } from '@musubi/runtime/node';

import { join } from 'node:path';

import { engineVersion } from '@musubi/runtime/node';

import type { Limits } from './limits.ts';
import type { Machine } from './machine.ts';

import { type CudaFacts, type Gpu, examineCuda, findGpus } from './cuda.ts';
import { librariesOf } from './fix-cuda.ts';
import { readLimits } from './limits.ts';
import { type DoctorFinding, finding } from './remedies.ts';

export interface MachineFacts {
  readonly node: string;
  readonly system: {
    readonly platform: string;
    readonly arch: string;
    readonly release: string;
    readonly glibc: string | null;
  };
  readonly processor: {
    readonly name: string;
    readonly count: number;
    /** That this process may use: by its affinity, and by its container. */
    readonly allowed: number;
  };
  readonly memory: { readonly bytes: number; readonly freeBytes: number; readonly limitBytes: number | null };
  readonly folder: { readonly path: string; readonly freeBytes: number | null };
  readonly runtime: {
    readonly path: string;
    /** Of the package. */
    readonly version: string | null;
    /** Of the library in it that computes, which `--fix cuda` replaces; null where it does not say, as elsewhere than on Linux. */
    readonly libraryVersion: string | null;
  } | null;
  readonly providers: readonly ProviderProbe[];
  readonly gpus: readonly Gpu[];
  /** Only on Linux x64, where there is a CUDA provider for Node.js. */
  readonly cuda: CudaFacts | null;
  /** The library of Vulkan, which WebGPU needs on Linux; null elsewhere. */
  readonly vulkan: string | null;
}

export interface DoctorReport {
  /** Training on the CPU works. */
  readonly ok: boolean;
  readonly facts: MachineFacts;
  readonly findings: readonly DoctorFinding[];
}

/** Looks at everything that training needs of a machine. */
export async function examineMachine(machine: Machine): Promise<DoctorReport> {
  const limits = await readLimits(machine);
  const disk = await machine.disk(machine.folder);
  const runtime = await examineRuntime(machine);
  const gpus = await findGpus(machine);
  const hasCuda = machine.platform === 'linux' && machine.arch === 'x64';
  const cuda = hasCuda ? await examineCuda(machine, gpus, runtime.path) : null;
  const vulkan = machine.platform === 'linux' ? await findVulkan(machine) : null;
  const facts: MachineFacts = {
    node: machine.nodeVersion,
    system: { platform: machine.platform, arch: machine.arch, release: machine.release, glibc: machine.glibc },
    processor: { name: machine.processor, count: machine.processors, allowed: allowedProcessors(machine, limits) },
    memory: { bytes: machine.memoryBytes, freeBytes: machine.freeMemoryBytes, limitBytes: limits.memoryBytes },
    folder: { path: machine.folder, freeBytes: disk?.freeBytes ?? null },
    runtime:
      runtime.path === null
        ? null
        : {
            path: runtime.path,
            version: runtime.version,
            libraryVersion: await machine.libraryVersion(
              join(librariesOf(runtime.path, machine), 'libonnxruntime.so.1'),
            ),
          },
    providers: runtime.probes,
    gpus,
    cuda: cuda?.facts ?? null,
    vulkan,
  };
  const findings = [
    ...examineSystem(machine),
    ...runtime.findings,
    ...(await examineRoom(machine, facts)),
    ...(cuda?.findings ?? []),
    ...(await examineWebGpu(machine, facts)),
    ...examineOtherProviders(facts, cuda?.findings ?? []),
  ];
  return { ok: findings.every(({ severity }) => severity !== 'error'), facts, findings };
}

function examineSystem({ nodeVersion, platform, arch, glibc }: Machine): DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    findings.push(finding('NODE_TOO_OLD', `This is Node.js ${nodeVersion}; musubi needs 20.19 or later.`));
  }
  if (!supported.includes(`${platform} ${arch}`)) {
    const message = `ONNX Runtime has no build for Node.js on ${platform} ${arch}.`;
    findings.push(finding('PLATFORM_UNSUPPORTED', message));
  } else if (platform === 'linux' && glibc === null) {
    findings.push(finding('LIBC_UNSUPPORTED', 'ONNX Runtime needs glibc, which this Linux does not have.'));
  }
  return findings;
}

const supported = ['linux x64', 'linux arm64', 'darwin arm64', 'win32 x64', 'win32 arm64'];

/** The package, whether it loads, and what each of its providers makes of a small model. */
async function examineRuntime(machine: Machine): Promise<{
  path: string | null;
  version: string | null;
  probes: ProviderProbe[];
  findings: DoctorFinding[];
}> {
  const found = { path: null, version: null, probes: [], findings: [] };
  const expected = engineVersion;
  let engine: ReturnType<Machine['findEngine']>;
  try {
    engine = machine.findEngine();
  } catch {
    const message =
      'ONNX Runtime (the package onnxruntime-node) is not installed; npm leaves it out without a word when its install script fails.';
    return { ...found, findings: [finding('RUNTIME_MISSING', message, { expected })] };
  }
  const { path, version = null } = engine;
  const findings: DoctorFinding[] = [];
  if (version !== null && version !== expected) {
    const message = `ONNX Runtime is ${version}, musubi is tested with ${expected}.`;
    findings.push(finding('RUNTIME_OTHER_VERSION', message, { expected, file: path }));
  }
  let names: readonly string[];
  try {
    names = await machine.listProviders(path);
  } catch (error) {
    const message = error instanceof Error && 'found' in error ? String(error.found) : String(error);
    findings.push(finding('RUNTIME_LOAD_FAILED', message, { expected, file: path }));
    return { ...found, path, version, findings };
  }
  const probes: ProviderProbe[] = [];
  // one after the other: they would share the memory of a device
  for (const name of names) probes.push(await machine.probeProvider(name, path));
  const cpu = probes.find(({ provider }) => provider === 'cpu');
  if (cpu?.state !== 'works') {
    const message = `ONNX Runtime does not compute on the CPU: ${cpu?.reason ?? 'it has no such provider'}.`;
    findings.push(finding('CPU_UNUSABLE', message, { expected }));
  }
  return { path, version, probes, findings };
}

const gigabyte = 2 ** 30;

async function examineRoom(machine: Machine, { memory, folder }: MachineFacts): Promise<DoctorFinding[]> {
  const findings: DoctorFinding[] = [];
  const why = await machine.whyNotWritable(folder.path);
  if (why !== null) findings.push(finding('FOLDER_UNWRITABLE', `The working folder cannot be written to: ${why}.`));
  if (folder.freeBytes !== null && folder.freeBytes < 2 * gigabyte) {
    findings.push(finding('DISK_LOW', `The disk of the working folder has ${inGigabytes(folder.freeBytes)} free.`));
  }
  const usable = Math.min(memory.bytes, memory.limitBytes ?? Infinity);
  if (usable < 8 * gigabyte) {
    const message = `${inGigabytes(usable)} of memory are little: the smallest published model, Wan 2.1 1.3B, has 2.6 GiB of weights.`;
    findings.push(finding('MEMORY_LOW', message));
  }
  return findings;
}

/** WebGPU is told of where there is a graphics processor for it; servers without one do without it. */
async function examineWebGpu(machine: Machine, facts: MachineFacts): Promise<DoctorFinding[]> {
  const webgpu = facts.providers.find(({ provider }) => provider === 'webgpu');
  if (!webgpu || webgpu.state === 'works') return [];
  const isLinux = machine.platform === 'linux';
  const hasDevice = facts.gpus.length > 0 || (await machine.list('/dev/dri')).some((name) => name.startsWith('render'));
  if (isLinux && !hasDevice) return [];
  if (isLinux && facts.vulkan === null) {
    const message = "WebGPU finds no graphics processor: Vulkan's loader (libvulkan.so.1) is missing.";
    return [finding('VULKAN_LOADER_MISSING', message)];
  }
  return [finding('PROVIDER_UNUSABLE', unusable(webgpu))];
}

/** Of CUDA the causes are told, where any was found; TensorRT is nothing that musubi would use. */
function examineOtherProviders({ providers, gpus }: MachineFacts, told: readonly DoctorFinding[]): DoctorFinding[] {
  return providers
    .filter(({ provider, state }) => {
      if (state === 'works' || ['cpu', 'webgpu', 'tensorrt'].includes(provider)) return false;
      return provider !== 'cuda' || (gpus.length > 0 && told.length === 0);
    })
    .map((probe) => finding('PROVIDER_UNUSABLE', unusable(probe)));
}

const unusable = ({ provider, reason }: ProviderProbe): string =>
  `The provider ${provider} cannot be used: ${(reason ?? 'it says nothing').replace(/\.$/, '')}.`;

async function findVulkan({ run, list }: Machine): Promise<string | null> {
  const name = 'libvulkan.so.1';
  const index = (await run('ldconfig', ['-p'])) ?? (await run('/sbin/ldconfig', ['-p'])) ?? '';
  const listed = index.split('\n').find((line) => line.trim().startsWith(`${name} `));
  if (listed) return listed.split('=> ')[1]?.trim() ?? name;
  for (const folder of ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib']) {
    if ((await list(folder)).includes(name)) return `${folder}/${name}`;
  }
  return null;
}

function allowedProcessors({ allowedProcessors: allowed }: Machine, { processors }: Limits): number {
  return processors === null ? allowed : Math.max(1, Math.min(allowed, Math.ceil(processors)));
}

export const inGigabytes = (bytes: number): string => `${(bytes / gigabyte).toFixed(1)} GiB`;
