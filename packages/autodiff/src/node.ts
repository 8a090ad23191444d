export { loadTrainingArtifacts, weightFilesFrom, writeTrainingArtifacts } from './node/artifacts.ts';
