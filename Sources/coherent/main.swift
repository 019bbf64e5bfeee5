import Tensors
print(Runtime.compiledVersion)
