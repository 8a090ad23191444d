import type { ProviderProbe } from '@musubi/runtime/node';
import { describe, expect, test } from 'vitest';

import { doctorCommand } from './doctor-command.ts';
import { type DoctorReport, examineMachine } from './doctor/examine.ts';
import { type Machine, thisMachine } from './doctor/machine.ts';
import { type DoctorCode, remedies } from './doctor/remedies.ts';

const gigabyte = 2 ** 30;
const engine = '/app/node_modules/onnxruntime-node/dist/index.js';
const binaries = '/app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64';
const provider = `${binaries}/libonnxruntime_providers_cuda.so`;

interface Fakes extends Partial<Machine> {
  readonly files?: Readonly<Record<string, string>>;
  readonly folders?: Readonly<Record<string, readonly string[]>>;
  /** What programs print, by program and first argument. */
  readonly programs?: Readonly<Record<string, string>>;
  readonly probes?: Readonly<Record<string, Partial<ProviderProbe>>>;
}

/** A Linux server on which all is well, but for what is given. */
function machine({ files = {}, folders = {}, programs = {}, probes = {}, ...others }: Fakes = {}): Machine {
  return {
    nodeVersion: '22.11.0',
    platform: 'linux',
    arch: 'x64',
    release: '6.1.0',
    glibc: '2.36',
    processor: 'Some CPU',
    processors: 8,
    allowedProcessors: 8,
    memoryBytes: 32 * gigabyte,
    allowedMemoryBytes: others.memoryBytes ?? 32 * gigabyte,
    freeMemoryBytes: 20 * gigabyte,
    folder: '/work',
    environment: {},
    readText: async (path) => files[path] ?? null,
    list: async (folder) => folders[folder] ?? [],
    run: async (program, [first = '']) => programs[`${program} ${first}`] ?? programs[program] ?? null,
    libraryVersion: async () => null,
    disk: async () => ({ freeBytes: 100 * gigabyte, totalBytes: 200 * gigabyte }),
    whyNotWritable: async () => null,
    findEngine: () => ({ path: engine, version: '1.30.0' }),
    listProviders: async () => ['cpu', ...Object.keys(probes).filter((name) => name !== 'cpu')],
    probeProvider: async (name) => ({
      provider: name,
      state: 'works',
      reason: null,
      largestError: 1e-8,
      ...probes[name],
    }),
    ...others,
  };
}

const fails = (reason: string): Partial<ProviderProbe> => ({ state: 'fails', reason, largestError: null });
const query = 'nvidia-smi --query-gpu=index,uuid,driver_version,memory.total,memory.free,name';
const card = { [query]: '0, GPU-1, 535.54, 49140, 48000, NVIDIA RTX A6000\n', 'nvidia-smi': '| CUDA Version: 12.2 |' };
const found = (library: string) => `\t${library} => /usr/lib/x86_64-linux-gnu/${library} (0x00007f)\n`;
const ldd = ['libcublasLt.so.12', 'libcublas.so.12', 'libcurand.so.10', 'libcufft.so.11', 'libcudart.so.12']
  .map(found)
  .join('');
const withProvider = { folders: { [binaries]: ['libonnxruntime.so.1', 'libonnxruntime_providers_cuda.so'] } };

const throws = (message: string) => () => {
  throw new Error(message);
};

const cases: readonly [DoctorCode, Fakes, message: string, remedy: string][] = [
  ['NODE_TOO_OLD', { nodeVersion: '20.18.3' }, 'This is Node.js 20.18.3', 'Install Node.js 20.19'],
  ['PLATFORM_UNSUPPORTED', { platform: 'darwin', arch: 'x64' }, 'no build for Node.js on darwin x64', 'Apple silicon'],
  ['LIBC_UNSUPPORTED', { glibc: null }, 'needs glibc', 'node:22-slim'],
  [
    'RUNTIME_MISSING',
    { findEngine: throws('none') },
    'is not installed',
    'npm install --onnxruntime-node-install=skip @musubi/cli onnxruntime-node@1.30.0',
  ],
  [
    'RUNTIME_OTHER_VERSION',
    { findEngine: () => ({ path: engine, version: '1.22.0' }) },
    'is 1.22.0',
    'onnxruntime-node@1.30.0',
  ],
  [
    'RUNTIME_LOAD_FAILED',
    { listProviders: () => Promise.reject(new Error('GLIBCXX_3.4.30 not found')) },
    'GLIBCXX_3.4.30 not found',
    'npm install --force',
  ],
  [
    'CPU_UNUSABLE',
    { probes: { cpu: { state: 'crashes', reason: 'its process was ended by SIGILL' } } },
    'was ended by SIGILL',
    'Install ONNX Runtime anew',
  ],
  [
    'FOLDER_UNWRITABLE',
    { whyNotWritable: async () => 'EROFS: read-only file system' },
    'read-only file system',
    'output_dir',
  ],
  ['DISK_LOW', { disk: async () => ({ freeBytes: gigabyte, totalBytes: gigabyte }) }, 'has 1.0 GiB free', 'Make room'],
  ['MEMORY_LOW', { memoryBytes: 4 * gigabyte }, '4.0 GiB of memory are little', 'gradient_checkpointing'],
  [
    'GPU_WITHOUT_DRIVER',
    {
      folders: { '/sys/bus/pci/devices': ['0000:00:01.0', '0000:01:00.0'] },
      files: {
        '/sys/bus/pci/devices/0000:01:00.0/vendor': '0x10de\n',
        '/sys/bus/pci/devices/0000:01:00.0/class': '0x030000\n',
      },
    },
    'but no driver',
    '525.60.13 or later',
  ],
  [
    'CUDA_DRIVER_TOO_OLD',
    {
      ...withProvider,
      programs: { ...card, [query]: '0, GPU-2, 470.82, 15360, 15000, Tesla T4', [`ldd ${provider}`]: ldd },
    },
    'driver 470.82 is too old for the CUDA 12',
    '525.60.13 or later',
  ],
  [
    'CUDA_PROVIDER_MISSING',
    {
      programs: {
        ...card,
        'ldconfig -p': [...ldd.matchAll(/\S+ => \S+/g), 'libcudnn.so.9 => /x/libcudnn.so.9']
          .map((line) => `\t${String(line).replace(' =>', ' (libc6,x86-64) =>')}`)
          .join('\n'),
      },
    },
    'without its CUDA library',
    'npm rebuild onnxruntime-node',
  ],
  [
    'CUDA_LIBRARY_MISSING',
    { ...withProvider, programs: { ...card, [`ldd ${provider}`]: `${ldd}\tlibcudnn.so.9 => not found\n` } },
    'libcudnn.so.9, which the loader does not find',
    'package libcudnn9-cuda-12 from',
  ],
  [
    'CUDA_LIBRARY_NOT_ON_PATH',
    {
      folders: {
        ...withProvider.folders,
        '/usr/local': ['bin', 'cuda-12.4'],
        '/usr/local/cuda-12.4/lib64': ['libcublas.so.12'],
      },
      programs: { ...card, [`ldd ${provider}`]: '\tlibcublas.so.12 => not found\n' },
    },
    'libcublas.so.12, which is in /usr/local/cuda-12.4/lib64',
    'export LD_LIBRARY_PATH=/usr/local/cuda-12.4/lib64:$LD_LIBRARY_PATH',
  ],
  [
    'VULKAN_LOADER_MISSING',
    { folders: { '/dev/dri': ['card0', 'renderD128'] }, probes: { webgpu: fails('No supported adapters') } },
    'libvulkan.so.1',
    'apt-get install libvulkan1',
  ],
  [
    'PROVIDER_UNUSABLE',
    { platform: 'win32', probes: { dml: fails('No device.') } },
    'The provider dml cannot be used: No device.',
    'Update the driver',
  ],
];

describe('findings', () => {
  test.each(cases)('%s', async (code, fakes, message, remedy) => {
    const { ok, findings } = await examineMachine(machine(fakes));
    const [only, ...others] = findings;
    expect(others).toEqual([]);
    expect(only?.code).toBe(code);
    expect(only?.message).toContain(message);
    expect(only?.remedy).toContain(remedy);
    expect(ok).toBe(remedies[code].severity === 'warning');
  });

  test('there is a case of each', () => {
    expect(cases.map(([code]) => code).toSorted()).toEqual(Object.keys(remedies).toSorted());
  });

  test('none where all is well', async () => {
    const { ok, findings } = await examineMachine(machine());
    expect([ok, findings]).toEqual([true, []]);
  });

  test('a server without a graphics processor is not told of WebGPU, CUDA and TensorRT', async () => {
    const probes = { webgpu: fails('No adapters'), cuda: fails('Failed to load'), tensorrt: fails('Failed to load') };
    expect((await examineMachine(machine({ probes }))).findings).toEqual([]);
  });

  test('CUDA that fails although nothing is missing', async () => {
    const programs = { ...card, [`ldd ${provider}`]: ldd };
    const probes = { cuda: fails('CUDA failure 999: unknown error') };
    const { findings } = await examineMachine(machine({ ...withProvider, programs, probes }));
    expect(findings.map(({ code, message }) => [code, message])).toEqual([
      ['PROVIDER_UNUSABLE', 'The provider cuda cannot be used: CUDA failure 999: unknown error.'],
    ]);
  });
});

describe('limits of containers', () => {
  test.each([
    ['version 2', { 'cpu.max': '150000 100000\n' }, 2],
    ['version 2, none', { 'cpu.max': 'max 100000\n' }, 8],
    ['version 1', { 'cpu/cpu.cfs_quota_us': '300000', 'cpu/cpu.cfs_period_us': '100000' }, 3],
    ['version 1, none', { 'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000' }, 8],
  ])('processors: %s', async (_, limits, allowed) => {
    const files = Object.fromEntries(Object.entries(limits).map(([name, text]) => [`/sys/fs/cgroup/${name}`, text]));
    const { facts } = await examineMachine(machine({ files }));
    expect(facts.processor.allowed).toBe(allowed);
  });

  test.each([
    [4 * gigabyte, 4 * gigabyte],
    [32 * gigabyte, null],
  ])('memory: %d bytes', async (allowedMemoryBytes, limit) => {
    const { facts } = await examineMachine(machine({ allowedMemoryBytes }));
    expect(facts.memory.limitBytes).toBe(limit);
  });
});

test('graphics processors of Windows and macOS are named', async () => {
  const windows = machine({ platform: 'win32', programs: { powershell: 'AMD Radeon RX 7900,31.0.1\r\n\r\n' } });
  const mac = machine({
    platform: 'darwin',
    arch: 'arm64',
    programs: { system_profiler: 'Graphics:\n      Chipset Model: Apple M2\n' },
  });
  expect((await examineMachine(windows)).facts.gpus).toEqual([
    { name: 'AMD Radeon RX 7900', driver: '31.0.1', memoryMiB: null },
  ]);
  expect((await examineMachine(mac)).facts.gpus).toEqual([{ name: 'Apple M2', driver: null, memoryMiB: null }]);
});

async function doctor(argv: readonly string[], of: Machine) {
  let stdout = '';
  const context = { stdout: { write: (text: string) => (stdout += text) } } as unknown as Parameters<
    typeof doctorCommand
  >[1];
  const exitCode = await doctorCommand(argv, context, of);
  return { exitCode, stdout };
}

describe('the report', () => {
  const ill = machine({
    ...withProvider,
    programs: { ...card, [`ldd ${provider}`]: `${ldd}\tlibcudnn.so.9 => not found\n` },
    files: { '/sys/fs/cgroup/cpu.max': '200000 100000' },
    probes: { webgpu: fails('No supported adapters'), cuda: fails('Failed to load shared library') },
  });

  test('reads like this', async () => {
    const { exitCode, stdout } = await doctor([], ill);
    expect(exitCode).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "Node.js        22.11.0
      System         linux x64 6.1.0, glibc 2.36
      Processor      Some CPU, 8 cores, 2 of them for this process
      Memory         32.0 GiB, 20.0 GiB free
      Working folder /work, 100.0 GiB free
      ONNX Runtime   1.30.0 in /app/node_modules/onnxruntime-node/dist/index.js
        cpu          works
        webgpu       cannot be used: No supported adapters
        cuda         cannot be used: Failed to load shared library
      GPU            NVIDIA RTX A6000, 48.0 GiB
      Driver         535.54, up to CUDA 12.2
        libcublasLt.so.12 /usr/lib/x86_64-linux-gnu/libcublasLt.so.12
        libcublas.so.12 /usr/lib/x86_64-linux-gnu/libcublas.so.12
        libcurand.so.10 /usr/lib/x86_64-linux-gnu/libcurand.so.10
        libcufft.so.11 /usr/lib/x86_64-linux-gnu/libcufft.so.11
        libcudart.so.12 /usr/lib/x86_64-linux-gnu/libcudart.so.12
        libcudnn.so.9 not found
      Vulkan         no libvulkan.so.1

      warning: CUDA needs libcudnn.so.9, which the loader does not find. Install the package libcudnn9-cuda-12 from NVIDIA's package repository for this distribution.
      warning: WebGPU finds no graphics processor: Vulkan's loader (libvulkan.so.1) is missing. Install it with the drivers of your graphics processor, on Debian and Ubuntu: apt-get install libvulkan1 mesa-vulkan-drivers
      Training on the CPU works. 2 warnings.
      "
    `);
    expect(stdout).not.toContain('\u001b');
  });

  test.each([
    ['1.30.0', `1.30.0 in ${engine}`],
    [null, `1.30.0 in ${engine}`],
    ['1.29.0', `library 1.29.0, of musubi doctor --fix cuda, in the package of 1.30.0 in ${engine}`],
    ['1.28.1', `library 1.28.1, in the package of 1.30.0 in ${engine}`],
  ])('a library of %s is not told as one of the package', async (version, told) => {
    const asked: string[] = [];
    const libraryVersion = async (path: string) => (asked.push(path), version);
    const { stdout } = await doctor([], machine({ libraryVersion }));
    expect(/^ONNX Runtime +(.*)$/m.exec(stdout)?.[1]).toBe(told);
    expect(asked.map((path) => path.replaceAll('\\', '/'))).toEqual([`${binaries}/libonnxruntime.so.1`]);
    const json = JSON.parse((await doctor(['--json'], machine({ libraryVersion }))).stdout) as DoctorReport;
    expect(json.facts.runtime).toEqual({ path: engine, version: '1.30.0', libraryVersion: version });
  });

  test('--json', async () => {
    const { exitCode, stdout } = await doctor(['--json'], machine({ findEngine: throws('none') }));
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchInlineSnapshot(`
      {
        "facts": {
          "cuda": {
            "driver": null,
            "driverCuda": null,
            "libraries": {
              "libcublas.so.12": null,
              "libcublasLt.so.12": null,
              "libcudart.so.12": null,
              "libcudnn.so.9": null,
              "libcufft.so.11": null,
              "libcurand.so.10": null,
            },
            "provider": null,
          },
          "folder": {
            "freeBytes": 107374182400,
            "path": "/work",
          },
          "gpus": [],
          "memory": {
            "bytes": 34359738368,
            "freeBytes": 21474836480,
            "limitBytes": null,
          },
          "node": "22.11.0",
          "processor": {
            "allowed": 8,
            "count": 8,
            "name": "Some CPU",
          },
          "providers": [],
          "runtime": null,
          "system": {
            "arch": "x64",
            "glibc": "2.36",
            "platform": "linux",
            "release": "6.1.0",
          },
          "vulkan": null,
        },
        "findings": [
          {
            "code": "RUNTIME_MISSING",
            "fix": null,
            "message": "ONNX Runtime (the package onnxruntime-node) is not installed; npm leaves it out without a word when its install script fails.",
            "remedy": "Install it without the download that npm stumbles over:
        npm install --onnxruntime-node-install=skip @musubi/cli onnxruntime-node@1.30.0",
            "severity": "error",
            "where": {
              "file": null,
              "line": null,
              "option": null,
            },
          },
        ],
        "ok": false,
      }
    `);
  });

  test('other repairs and options are refused', async () => {
    await expect(doctor(['--fix', 'vulkan'], ill)).rejects.toThrow('Nothing else can be mended.');
    await expect(doctor(['--jsn'], ill)).rejects.toThrow('doctor has no --jsn.');
    expect((await doctor(['--help'], ill)).stdout).toMatch(/^Usage: musubi doctor/);
  });
});

test('this machine computes on its CPU', async () => {
  const { ok, facts } = await examineMachine(thisMachine());
  expect(ok).toBe(true);
  expect(facts.runtime?.version).toBe('1.30.0');
  expect(facts.providers.find(({ provider: name }) => name === 'cpu')?.state).toBe('works');
  expect(facts.processor.allowed).toBeGreaterThan(0);
  expect(facts.folder.freeBytes).toBeGreaterThan(0);
}, 240_000);
