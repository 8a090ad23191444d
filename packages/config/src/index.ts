export { architectures } from './architectures.ts';
export type { ArchitectureName } from './architectures.ts';
export type { CacheConfig, CacheLatentsConfig, CacheTextConfig } from './cache-config.ts';
export { commandFor, commandTable, findCommand, optionsOf } from './commands.ts';
export type { CommandSpec } from './commands.ts';
export { ConfigError } from './errors.ts';
export type { ConfigErrorCode, ConfigProblem } from './errors.ts';
export type { DeviceChoice } from './to-device.ts';
export type { AttentionChoice } from './to-attention.ts';
export { graphOptimizationTable } from './graph-optimization.ts';
export type { GraphOptimization } from './graph-optimization.ts';
export type { InspectConfig } from './inspect-config.ts';
export { nearestName } from './internal/nearest.ts';
export { parseKeyValue } from './key-value.ts';
export type { KeyValueFault } from './key-value.ts';
export { readLaunchLine } from './launch-line.ts';
export type { LaunchLine } from './launch-line.ts';
export { loggedOptions } from './logged-options.ts';
export type { AverageLorasConfig, ConvertLoraConfig, MergeLorasConfig } from './lora-config.ts';
export { optionGroups, plainDefault } from './option-spec.ts';
export type { OptionDefault, OptionGroup, OptionSpec, OptionSupport, OptionType } from './option-spec.ts';
export { optionTable } from './option-table.ts';
export type { Origin } from './origin.ts';
export { LiteralSyntaxError, parsePythonLiteral } from './python-literal.ts';
export { pythonFloat, pythonRepr, pythonText, toPlain } from './python-value.ts';
export type { PlainValue, PythonValue } from './python-value.ts';
export type { QuantizeConfig } from './quantize-config.ts';
export { readOptions } from './read-options.ts';
export type { OptionsRead, ReadOption, ReadText } from './read-options.ts';
export { examineCommand, resolveCommand, resolveOptions } from './resolve-options.ts';
export type { ResolvedCommand, ResolvedOptions, ResolveRequest } from './resolve-options.ts';
export { resolvedToml } from './resolved-toml.ts';
export { optionRules } from './rules.ts';
export type { OptionRule, RuleValues } from './rules.ts';
export { locateKeys } from './toml-lines.ts';
export type { KeyLine } from './toml-lines.ts';
export { splitCommandLine } from './split-command-line.ts';
export { countSteps } from './train-config.ts';
export type {
  EightBitBase,
  LoggedOptions,
  LoggingConfig,
  NetworkKind,
  QinglongPreset,
  SavePrecision,
  MixedPrecision,
  StepsOrShare,
  TimestepSampling,
  TrainConfig,
  WandbConfig,
  WanTask,
  WeightingScheme,
} from './train-config.ts';
