// One import for a Swift script: everything that it may name.
@_exported import Architectures
@_exported import Calibration
@_exported import Compression
@_exported import Diagnostics
@_exported import Distribution
@_exported import Evaluation
@_exported import Execution
@_exported import Formats
@_exported import ModelGraph
@_exported import Recipes
@_exported import Reporting
@_exported import Statistics
@_exported import StructuredData
@_exported import Tensors
@_exported import Training
