import type { Finding } from '@musubi/trainer/node';

/** What `--fix` can mend. */
export type Fix = 'cuda';

export interface Remedy {
  readonly severity: Finding['severity'];
  /** What to do, a sentence or a command; `{name}` stands for a fact of the finding. */
  readonly text: string;
  /** The `--fix` that does it. */
  readonly fix?: Fix;
}

const aptRepository = "from NVIDIA's package repository for this distribution";

/** Every finding of the doctor, with what to do about it. An error keeps training on the CPU from working. */
export const remedies = {
  NODE_TOO_OLD: { severity: 'error', text: 'Install Node.js 20.19 or later, best the current LTS release.' },
  PLATFORM_UNSUPPORTED: { severity: 'error', text: 'Use Linux or Windows (x64, arm64), or a Mac with Apple silicon.' },
  LIBC_UNSUPPORTED: {
    severity: 'error',
    text: 'Use a distribution with glibc, e.g. the image node:22-slim instead of node:22-alpine.',
  },
  RUNTIME_MISSING: {
    severity: 'error',
    text: 'Install it without the download that npm stumbles over:\n  npm install --onnxruntime-node-install=skip @musubi/cli onnxruntime-node@{expected}',
  },
  RUNTIME_OTHER_VERSION: {
    severity: 'warning',
    text: 'Install the version that musubi is tested with: npm install --onnxruntime-node-install=skip onnxruntime-node@{expected}',
  },
  RUNTIME_LOAD_FAILED: {
    severity: 'error',
    text: 'Install it anew: npm install --force --onnxruntime-node-install=skip onnxruntime-node@{expected}. On Linux it needs libstdc++ of GCC 11 or later.',
  },
  CPU_UNUSABLE: {
    severity: 'error',
    text: 'Install ONNX Runtime anew: npm install --force --onnxruntime-node-install=skip onnxruntime-node@{expected}. If that does not help, please report it.',
  },
  FOLDER_UNWRITABLE: {
    severity: 'warning',
    text: 'Change to a folder that you may write to, or name others in output_dir and cache_directory.',
  },
  DISK_LOW: {
    severity: 'warning',
    text: 'Make room, or name folders on another disk in output_dir and cache_directory.',
  },
  MEMORY_LOW: {
    severity: 'warning',
    text: 'Close other programs or raise the limit; use gradient_checkpointing, and a resolution that fits.',
  },
  GPU_WITHOUT_DRIVER: {
    severity: 'warning',
    text: "Install NVIDIA's driver ({driver} or later), and start the machine anew. In a container, start it with its graphics processors (docker run --gpus all).",
  },
  CUDA_DRIVER_TOO_OLD: { severity: 'warning', text: "Update NVIDIA's driver to {driver} or later." },
  CUDA_PROVIDER_MISSING: {
    severity: 'warning',
    text: 'Let its install script fetch it, where it may reach NuGet: npm rebuild onnxruntime-node --foreground-scripts, without onnxruntime-node-install=skip in .npmrc or the environment.',
    fix: 'cuda',
  },
  CUDA_LIBRARY_MISSING: {
    severity: 'warning',
    text: `Install the package {package} ${aptRepository}.`,
    fix: 'cuda',
  },
  CUDA_LIBRARY_NOT_ON_PATH: {
    severity: 'warning',
    text: 'Let the loader look there: export LD_LIBRARY_PATH={folder}:$LD_LIBRARY_PATH',
    fix: 'cuda',
  },
  VULKAN_LOADER_MISSING: {
    severity: 'warning',
    text: 'Install it with the drivers of your graphics processor, on Debian and Ubuntu: apt-get install libvulkan1 mesa-vulkan-drivers',
  },
  PROVIDER_UNUSABLE: {
    severity: 'warning',
    text: 'Training on the CPU does without it. Update the driver of the graphics processor to use it.',
  },
} as const satisfies Readonly<Record<string, Remedy>>;

export type DoctorCode = keyof typeof remedies;

/** A finding with the remedy of its code. */
export interface DoctorFinding extends Finding {
  readonly code: DoctorCode;
  readonly fix: Fix | null;
}

/** @param facts put into the remedy */
export function finding(
  code: DoctorCode,
  message: string,
  facts: Readonly<Record<string, string>> = {},
): DoctorFinding {
  const remedyOf: Remedy = remedies[code];
  const { severity, text } = remedyOf;
  const remedy = text.replaceAll(/\{(\w+)\}/g, (_, name: string) => facts[name] ?? '');
  return {
    severity,
    code,
    where: { option: null, file: facts['file'] ?? null, line: null },
    message,
    remedy,
    fix: remedyOf.fix ?? null,
  };
}
