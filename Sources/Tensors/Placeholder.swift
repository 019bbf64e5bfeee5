import CLibTorch
public func version() -> String { String(cString: ct_version()) }
