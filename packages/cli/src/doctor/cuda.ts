import { listNvidiaCards } from '@musubi/runtime/node';

import { dirname, posix } from 'node:path';

import type { Machine } from './machine.ts';

import { type DoctorFinding, finding } from './remedies.ts';

export interface Gpu {
  readonly name: string;
  /** Version of the driver. */
  readonly driver: string | null;
  readonly memoryMiB: number | null;
}

export interface CudaFacts {
  /** Null where there is no such processor. */
  readonly driver: string | null;
  /** Newest CUDA that the driver can run. */
  readonly driverCuda: string | null;
  /** ONNX Runtime's own library for CUDA; null where it is not installed. */
  readonly provider: string | null;
  /** What that library needs, or would need; null where the loader does not find it. */
  readonly libraries: Readonly<Record<string, string | null>>;
}

/** Graphics processors: NVIDIA's as its driver tells, others as Windows and macOS tell. */
export async function findGpus(machine: Pick<Machine, 'run' | 'platform'>): Promise<Gpu[]> {
  const found = (await listNvidiaCards(machine.run)).map(({ name, driver, totalBytes }) => ({
    name,
    driver,
    memoryMiB: totalBytes === null ? null : totalBytes / 2 ** 20,
  }));
  return found.length > 0 ? found : findOthers(machine);
}

async function findOthers({ run, platform }: Pick<Machine, 'run' | 'platform'>): Promise<Gpu[]> {
  if (platform === 'darwin') {
    const text = (await run('system_profiler', ['SPDisplaysDataType'])) ?? '';
    return [...text.matchAll(/^\s*Chipset Model: (.+)$/gm)].map(([, name = '']) => ({
      name,
      driver: null,
      memoryMiB: null,
    }));
  }
  if (platform !== 'win32') return [];
  const command = "Get-CimInstance Win32_VideoController | ForEach-Object { $_.Name + ',' + $_.DriverVersion }";
  const text = (await run('powershell', ['-NoProfile', '-Command', command])) ?? '';
  return text.split(/\r?\n/).flatMap((line) => {
    const [name = '', driver = ''] = line.split(',').map((part) => part.trim());
    return name === '' ? [] : [{ name, driver: driver === '' ? null : driver, memoryMiB: null }];
  });
}

/** CUDA on Linux: driver, ONNX Runtime's provider, and the libraries that it needs. */
export async function examineCuda(
  machine: Machine,
  gpus: readonly Gpu[],
  enginePath: string | null,
): Promise<{ facts: CudaFacts; findings: DoctorFinding[] }> {
  const driver = gpus[0]?.driver ?? (await driverVersion(machine));
  const smi = gpus.length > 0 ? await machine.run('nvidia-smi', []) : null;
  const driverCuda = /CUDA Version:\s*([\d.]+)/.exec(smi ?? '')?.[1] ?? null;
  const provider = await findProvider(machine, enginePath);
  const needed = await neededLibraries(machine, provider);
  const facts = { driver, driverCuda, provider, libraries: Object.fromEntries(needed) };
  const findings: DoctorFinding[] = [];

  if (driver === null) {
    if (await hasCard(machine)) {
      const newest = driverFor(needed);
      findings.push(
        finding('GPU_WITHOUT_DRIVER', 'There is an NVIDIA graphics processor, but no driver.', { driver: newest }),
      );
    }
    return { facts, findings };
  }
  const wanted = driverFor(needed);
  if (provider !== null && compareVersions(driver, wanted) < 0) {
    const message = `NVIDIA's driver ${driver} is too old for the CUDA ${majorOf(needed)} that ONNX Runtime was built for.`;
    findings.push(finding('CUDA_DRIVER_TOO_OLD', message, { driver: wanted }));
  }
  if (provider === null) {
    const message = 'There is an NVIDIA graphics processor, but ONNX Runtime was installed without its CUDA library.';
    findings.push(finding('CUDA_PROVIDER_MISSING', message));
  }
  for (const [library, path] of needed) {
    if (path !== null) continue;
    const elsewhere = await findElsewhere(machine, library);
    if (elsewhere === null) {
      const name = packageOf(library, majorOf(needed));
      findings.push(
        finding('CUDA_LIBRARY_MISSING', `CUDA needs ${library}, which the loader does not find.`, { package: name }),
      );
    } else {
      const message = `CUDA needs ${library}, which is in ${elsewhere}, where the loader does not look.`;
      findings.push(
        finding('CUDA_LIBRARY_NOT_ON_PATH', message, { folder: elsewhere, file: posix.join(elsewhere, library) }),
      );
    }
  }
  return { facts, findings };
}

const providerName = 'libonnxruntime_providers_cuda.so';

async function findProvider({ list, platform, arch }: Machine, enginePath: string | null): Promise<string | null> {
  if (enginePath === null) return null;
  // .../onnxruntime-node/dist/index.js
  const folder = posix.join(dirname(dirname(enginePath)), 'bin', 'napi-v6', platform, arch);
  return (await list(folder)).includes(providerName) ? posix.join(folder, providerName) : null;
}

/** Without the driver, `nvidia-smi` is missing too, but the kernel's module says its version. */
async function driverVersion({ readText }: Machine): Promise<string | null> {
  const text = await readText('/proc/driver/nvidia/version');
  return /Kernel Module[^\n]*?\s(\d+\.[\d.]+)\s/.exec(text ?? '')?.[1] ?? null;
}

/** A device of NVIDIA (0x10de) that is a display controller (0x03…). */
async function hasCard({ list, readText }: Machine): Promise<boolean> {
  const bus = '/sys/bus/pci/devices';
  for (const device of await list(bus)) {
    if ((await readText(`${bus}/${device}/vendor`))?.trim() !== '0x10de') continue;
    if ((await readText(`${bus}/${device}/class`))?.startsWith('0x03')) return true;
  }
  return false;
}

/** What ONNX Runtime 1.30 from npm needs where its library cannot be asked. */
const usuallyNeeded = [
  'libcublasLt.so.12',
  'libcublas.so.12',
  'libcurand.so.10',
  'libcufft.so.11',
  'libcudart.so.12',
  'libcudnn.so.9',
];

type Needed = readonly (readonly [library: string, path: string | null])[];

/** The libraries of CUDA with the place where the loader finds each: as it says itself, else as its index says. */
async function neededLibraries(machine: Machine, provider: string | null): Promise<Needed> {
  const told = provider === null ? null : await machine.run('ldd', [provider]);
  const listed = [...(told ?? '').matchAll(/^\s*(lib(?:cu|nv)\S+) => (\S+|not found)/gm)].filter(
    ([, library = '']) => !library.startsWith('libcuda.'),
  );
  if (listed.length > 0)
    return listed.map(([, library = '', path = '']) => [library, path.startsWith('/') ? path : null] as const);
  const index = (await machine.run('ldconfig', ['-p'])) ?? (await machine.run('/sbin/ldconfig', ['-p'])) ?? '';
  const folders = (machine.environment['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => folder !== '');
  const found = async (library: string) => {
    for (const folder of folders)
      if ((await machine.list(folder)).includes(library)) return posix.join(folder, library);
    const line = index.split('\n').find((text) => text.trim().startsWith(`${library} `));
    return line?.split('=> ')[1]?.trim() ?? null;
  };
  return Promise.all(usuallyNeeded.map(async (library) => [library, await found(library)] as const));
}

/** Where CUDA and cuDNN are put, although the loader may not look there. */
async function findElsewhere({ list }: Machine, library: string): Promise<string | null> {
  const toolkits = (await list('/usr/local')).filter((name) => /^cuda(?:-[\d.]+)?$/.test(name));
  const folders = toolkits.flatMap((name) =>
    ['lib64', 'targets/x86_64-linux/lib'].map((below) => `/usr/local/${name}/${below}`),
  );
  for (const folder of [...folders, '/opt/cuda/lib64']) if ((await list(folder)).includes(library)) return folder;
  return null;
}

function majorOf(needed: Needed): number {
  const runtime = needed.find(([library]) => library.startsWith('libcublas.') || library.startsWith('libcudart.'))?.[0];
  return Number(/\.so\.(\d+)/.exec(runtime ?? '')?.[1] ?? 12);
}

/** Oldest driver for Linux that runs every minor version of a CUDA, and cuDNN 9 for it. */
function driverFor(needed: Needed): string {
  return majorOf(needed) >= 13 ? '580.65.06' : '525.60.13';
}

function packageOf(library: string, major: number): string {
  const suffix = major >= 13 ? '13-0' : '12-8';
  const packages: readonly [start: string, name: string][] = [
    ['libcublas', `libcublas-${suffix}`],
    ['libcurand', `libcurand-${suffix}`],
    ['libcufft', `libcufft-${suffix}`],
    ['libcudart', `cuda-cudart-${suffix}`],
    ['libnvrtc', `cuda-nvrtc-${suffix}`],
    ['libnvJitLink', `libnvjitlink-${suffix}`],
    ['libcudnn', `libcudnn9-cuda-${major}`],
  ];
  return packages.find(([start]) => library.startsWith(start))?.[1] ?? `cuda-libraries-${suffix}`;
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(left?.length ?? 0, right?.length ?? 0); i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
