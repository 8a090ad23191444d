/** The environment with which a process finds Vulkan in software; null elsewhere than on Linux x64. */
export function softwareVulkan(): Promise<{ LD_LIBRARY_PATH: string; VK_ICD_FILENAMES: string } | null>;
